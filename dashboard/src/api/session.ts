/** The key of this tab. It ends with the tab: nothing keeps it longer, and no other page can read it. */
const KEY = "api-key";

export const readKey = (): string | null => sessionStorage.getItem(KEY);

export const keepKey = (key: string): void => sessionStorage.setItem(KEY, key);

export const forgetKey = (): void => sessionStorage.removeItem(KEY);
