import { Dialog } from "@base-ui/react/dialog";
import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { createApiKey, Permission } from "@/api/generated";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { Failed } from "@/ui/notices";

const WORDS: Record<Permission, string> = {
  read: "search and see stones",
  cost: "see what stones cost, change price rules",
  trade: "hold and buy stones",
  admin: "everything, this dashboard too",
};

export function CreateKey() {
  const [isOpen, setOpen] = useState(false);
  return (
    <Dialog.Root open={isOpen} onOpenChange={setOpen}>
      <Dialog.Trigger render={<Button look="primary" />}>Make a key</Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Backdrop className="fixed inset-0 bg-black/40" />
        <Dialog.Popup className="fixed top-1/2 left-1/2 w-[min(30rem,calc(100vw-2rem))] -translate-x-1/2 -translate-y-1/2 rounded-lg border border-line bg-surface p-5 shadow-xl">
          <Dialog.Title className="mb-3 text-base font-semibold">A new API key</Dialog.Title>
          <KeyForm />
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function KeyForm() {
  const queryClient = useQueryClient();
  const [name, setName] = useState("");
  const [days, setDays] = useState("");
  const [permissions, setPermissions] = useState<Permission[]>(["read"]);
  const [key, setKey] = useState<string | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const toggle = (permission: Permission, isOn: boolean) =>
    setPermissions(isOn ? [...permissions, permission] : permissions.filter((each) => each !== permission));
  const create = async (event: FormEvent) => {
    event.preventDefault();
    setError(null);
    try {
      const expiresInDays = days === "" ? null : Number(days);
      const made = await createApiKey({ name, permissions, expiresInDays });
      setKey(made.data.key);
      await queryClient.invalidateQueries({ queryKey: ["api-keys"] });
    } catch (failure) {
      setError(failure as Error);
    }
  };
  if (key !== null) return <NewKey value={key} />;
  return (
    <form onSubmit={(event) => void create(event)} className="flex flex-col gap-3">
      <Field label="Whose key it is" value={name} onChange={setName} required />
      <fieldset className="flex flex-col gap-1">
        <legend className="mb-1">What it may do</legend>
        {Object.values(Permission).map((permission) => (
          <label key={permission} className="flex items-center gap-2">
            <input
              type="checkbox"
              checked={permissions.includes(permission)}
              onChange={(event) => toggle(permission, event.target.checked)}
              className="size-4"
            />
            <code>{permission}</code> <span className="text-muted">{WORDS[permission]}</span>
          </label>
        ))}
      </fieldset>
      <Field
        label="Ends after days (empty: when it is revoked)"
        type="number"
        value={days}
        onChange={setDays}
      />
      {error !== null && <Failed error={error} />}
      <div className="flex justify-end gap-2">
        <Dialog.Close render={<Button />}>Close</Dialog.Close>
        <Button type="submit" look="primary" disabled={name.trim() === "" || permissions.length === 0}>
          Make it
        </Button>
      </div>
    </form>
  );
}

function NewKey({ value }: { value: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(value);
    setCopied(true);
  };
  return (
    <div className="flex flex-col gap-3">
      <p>It is shown this once and stored nowhere. Hand it on now.</p>
      <code className="rounded-md bg-raised p-3 break-all select-all">{value}</code>
      <div className="flex justify-end gap-2">
        <Button onClick={() => void copy()}>{isCopied ? "Copied" : "Copy"}</Button>
        <Dialog.Close render={<Button look="primary" />}>Done</Dialog.Close>
      </div>
    </div>
  );
}
