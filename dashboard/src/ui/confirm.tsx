import { AlertDialog } from "@base-ui/react/alert-dialog";
import { type ReactNode, useState } from "react";
import { Button } from "./button";
import { BACKDROP, CENTRED, NARROW } from "./modal";
import { tell } from "./news";
import { Failed } from "./notices";

interface Props {
  /** On the button that opens it, and on the one that does it. */
  action: string;
  title: string;
  /** What will happen, in numbers. */
  children: ReactNode;
  /** What is said when it is done. */
  done?: string;
  look?: "plain" | "primary" | "danger";
  disabled?: boolean;
  onConfirm: () => Promise<unknown>;
}

/** A button that asks before it does something; a refusal is shown where the question was. */
export function Confirm(props: Props) {
  const { action, title, children, done = `${action}: done.`, look = "plain", disabled, onConfirm } = props;
  const [isOpen, setOpen] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const confirm = async () => {
    setBusy(true);
    setError(null);
    try {
      await onConfirm();
      setOpen(false);
      tell(done);
    } catch (failure) {
      setError(failure as Error);
    } finally {
      setBusy(false);
    }
  };
  const show = (open: boolean) => {
    setError(null);
    setOpen(open);
  };
  return (
    <AlertDialog.Root open={isOpen} onOpenChange={show}>
      <AlertDialog.Trigger render={<Button look={look} disabled={disabled} />}>{action}</AlertDialog.Trigger>
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className={BACKDROP} />
        <AlertDialog.Popup className={`${CENTRED} ${NARROW}`}>
          <AlertDialog.Title className="text-base font-semibold">{title}</AlertDialog.Title>
          <AlertDialog.Description render={<div className="text-muted" />}>
            {children}
          </AlertDialog.Description>
          {error !== null && <Failed error={error} />}
          <div className="flex justify-end gap-2">
            <AlertDialog.Close render={<Button />}>Keep as it is</AlertDialog.Close>
            <Button
              look={look === "plain" ? "primary" : look}
              disabled={isBusy}
              onClick={() => void confirm()}
            >
              {action}
            </Button>
          </div>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
