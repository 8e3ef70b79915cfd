/** Hands a file to the browser, which puts it where downloads go. */
export function saveFile(content: Blob, name: string): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}

type Bytes = ReadableStream<Uint8Array<ArrayBuffer>>;

interface FilePicker {
  showSaveFilePicker?: (options: { suggestedName: string }) => Promise<FileSystemFileHandle>;
}

/**
 * A file of any size: straight to the disk where the browser lets a person choose the place, and there only when it
 * is whole. Elsewhere the browser holds it until then.
 */
export async function saveStream(
  open: () => Promise<Bytes>,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const picker = window as FilePicker;
  if (picker.showSaveFilePicker === undefined) {
    saveFile(await new Response(await open()).blob(), name);
    return;
  }
  // Asked first: the place may be chosen only right after a click.
  const place = await picker.showSaveFilePicker({ suggestedName: name });
  const bytes = await open();
  await bytes.pipeTo(await place.createWritable(), { signal });
}
