import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { createApiKey, Permission } from "@/api/generated";
import { Button } from "@/ui/button";
import { Check } from "@/ui/checks";
import { Field } from "@/ui/field";
import { CloseModal, Modal } from "@/ui/modal";
import { Failed } from "@/ui/notices";

const WORDS: Record<Permission, string> = {
  read: "search and see stones",
  cost: "see what stones cost, change price rules",
  trade: "hold and buy stones",
  admin: "everything, this dashboard too",
};

export function CreateKey() {
  return (
    <Modal trigger={<Button look="primary">Make a key</Button>} title="A new API key">
      <KeyForm />
    </Modal>
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
          <Check
            key={permission}
            label={
              <>
                <code>{permission}</code> <span className="text-muted">{WORDS[permission]}</span>
              </>
            }
            checked={permissions.includes(permission)}
            onChange={(isOn) => toggle(permission, isOn)}
          />
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
        <CloseModal render={<Button />}>Close</CloseModal>
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
        <CloseModal render={<Button look="primary" />}>Done</CloseModal>
      </div>
    </div>
  );
}
