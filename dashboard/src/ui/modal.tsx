import { Dialog } from "@base-ui/react/dialog";
import type { ReactElement, ReactNode } from "react";

/** What every dialog looks like, also those that are opened in another way. */
export const BACKDROP = "fixed inset-0 bg-black/40";
export const CARD = "rounded-lg border border-line bg-surface shadow-xl";
export const CENTRED = `fixed top-1/2 left-1/2 flex max-h-[calc(100vh-2rem)] -translate-x-1/2 -translate-y-1/2 flex-col gap-3 overflow-y-auto p-5 ${CARD}`;
export const NARROW = "w-[min(30rem,calc(100vw-2rem))]";
const WIDE = "w-[min(40rem,calc(100vw-2rem))]";

interface Props {
  /** The button that opens it. */
  trigger: ReactElement<Record<string, unknown>>;
  title: string;
  wide?: boolean;
  isOpen?: boolean;
  onOpenChange?: (isOpen: boolean) => void;
  /** Whether a click beside it leaves it open, as what was written in it would be lost. */
  stays?: boolean;
  children: ReactNode;
}

/** A dialog over the page, for a form or for all that is known of one thing. */
export function Modal({
  trigger,
  title,
  wide = false,
  isOpen,
  onOpenChange,
  stays = false,
  children,
}: Props) {
  return (
    <Dialog.Root open={isOpen} onOpenChange={onOpenChange} disablePointerDismissal={stays}>
      <Dialog.Trigger render={trigger} />
      <Dialog.Portal>
        <Dialog.Backdrop className={BACKDROP} />
        <Dialog.Popup className={`${CENTRED} ${wide ? WIDE : NARROW}`}>
          <Dialog.Title className="text-base font-semibold">{title}</Dialog.Title>
          {children}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/** Ends the dialog it stands in. */
export const CloseModal = Dialog.Close;
