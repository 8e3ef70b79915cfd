import { Autocomplete } from "@base-ui/react/autocomplete";
import { Dialog } from "@base-ui/react/dialog";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import type { Me } from "@/api/generated";
import { certificateQuery } from "@/api/queries";
import { Button } from "@/ui/button";
import { BACKDROP, CARD } from "@/ui/modal";
import { type Command, commandsFor, isCertificate, stoneCommand } from "./commands";

/** Ctrl or Command with K, from every page: go to a page, or to the thing whose id was typed. */
export function CommandPalette({ me }: { me: Me | undefined }) {
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    const open = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      setOpen((wasOpen) => !wasOpen);
    };
    document.addEventListener("keydown", open);
    return () => document.removeEventListener("keydown", open);
  }, []);
  return (
    <Dialog.Root open={isOpen} onOpenChange={setOpen}>
      <Dialog.Trigger
        render={<Button className="ml-auto md:ml-0 md:w-full" aria-keyshortcuts="Control+K Meta+K" />}
      >
        Go to … <kbd className="hidden text-xs text-muted md:inline">Ctrl K</kbd>
      </Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Backdrop className={BACKDROP} />
        <Dialog.Popup
          className={`fixed top-[15vh] left-1/2 w-[min(32rem,calc(100vw-2rem))] -translate-x-1/2 p-2 ${CARD}`}
        >
          <Dialog.Title className="sr-only">Go to</Dialog.Title>
          <Choices me={me} onChosen={() => setOpen(false)} />
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Choices({ me, onChosen }: { me: Me | undefined; onChosen: () => void }) {
  const [typed, setTyped] = useState("");
  const word = typed.trim();
  const mayRead = me?.permissions.includes("read") ?? false;
  const stones = useQuery({ ...certificateQuery(word), enabled: mayRead && isCertificate(word) });
  const commands = [...commandsFor(me, typed), ...(stones.data?.data ?? []).map(stoneCommand)];
  const navigate = useNavigate();
  const go = (command: Command) => {
    onChosen();
    void navigate(command.target);
  };
  return (
    <Autocomplete.Root
      inline
      open
      autoHighlight="always"
      items={commands}
      filter={null}
      value={typed}
      onValueChange={setTyped}
      itemToStringValue={({ label }: Command) => label}
    >
      <Autocomplete.Input
        aria-label="A page, a certificate's number, or the id of a run or a stone"
        placeholder="A page, a certificate, the id of a run or a stone"
        className="w-full rounded-md border border-line bg-ground px-3 py-2"
      />
      <Autocomplete.Empty className="px-3 py-4 text-muted empty:p-0">
        {stones.isFetching ? "Looking …" : "No page is called like that, and it is no certificate and no id."}
      </Autocomplete.Empty>
      <Autocomplete.List className="mt-2 max-h-[50vh] overflow-y-auto">
        {(command: Command) => (
          <Autocomplete.Item
            key={command.label}
            value={command}
            onClick={() => go(command)}
            className="cursor-default rounded-md px-3 py-2 data-highlighted:bg-raised"
          >
            {command.label}
          </Autocomplete.Item>
        )}
      </Autocomplete.List>
    </Autocomplete.Root>
  );
}
