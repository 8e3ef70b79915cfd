import { useQueryClient } from "@tanstack/react-query";
import { Link, useRouter, useRouterState } from "@tanstack/react-router";
import { type KeyboardEvent, type ReactNode, useContext, useEffect, useRef, useState } from "react";
import type { Me } from "@/api/generated";
import { LiveContext } from "@/api/live";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { News } from "@/ui/news";
import { ThemeToggle } from "@/ui/theme-toggle";
import { useKeptFocus } from "@/ui/use-kept-focus";
import { CommandPalette } from "./command-palette";
import { endSession } from "./end-session";
import { pagesFor } from "./pages-for";

export function Shell({ me, children }: { me: Me | undefined; children: ReactNode }) {
  const [isOpen, setOpen] = useState(false);
  const pathname = useRouterState({ select: ({ resolvedLocation }) => resolvedLocation?.pathname });
  useKeptFocus(pathname);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another page was chosen, wherever
  useEffect(() => setOpen(false), [pathname]);
  const closeByKey = ({ key }: KeyboardEvent) => {
    if (key !== "Escape" || !isOpen) return;
    setOpen(false);
    button.current?.focus();
  };
  const button = useRef<HTMLButtonElement>(null);
  return (
    <div className="min-h-screen md:grid md:grid-cols-[13rem_1fr]">
      <a
        href="#main"
        className="sr-only focus:not-sr-only focus:absolute focus:z-10 focus:bg-surface focus:p-2"
      >
        To the content
      </a>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: only hears the key that closes what is in it */}
      <header
        onKeyDown={closeByKey}
        className="border-b border-line bg-surface md:sticky md:top-0 md:h-screen md:overflow-y-auto md:border-r md:border-b-0"
      >
        <div className="flex flex-wrap items-center gap-2 p-3 md:gap-y-4 md:p-4 md:pb-3">
          <img src="/diamond.svg" alt="" className="size-7" />
          <span className="font-semibold">Diamond Opus</span>
          <CommandPalette me={me} />
          <Button
            ref={button}
            className="md:hidden"
            aria-expanded={isOpen}
            aria-controls="menu"
            onClick={() => setOpen(!isOpen)}
          >
            Menu
          </Button>
        </div>
        <div id="menu" className={`${isOpen ? "flex" : "hidden"} flex-col gap-4 p-3 pt-0 md:flex`}>
          <nav aria-label="Pages">
            <ul className="flex flex-col gap-0.5">
              {pagesFor(me).map(({ to, label }) => (
                <li key={to}>
                  <Link
                    to={to}
                    activeOptions={{ exact: to === "/" }}
                    className="block rounded-md px-3 py-2 hover:bg-raised data-[status=active]:bg-raised data-[status=active]:font-semibold"
                  >
                    {label}
                  </Link>
                </li>
              ))}
              <li>
                <a
                  href="/api-docs"
                  target="_blank"
                  rel="noreferrer"
                  className="block rounded-md px-3 py-2 hover:bg-raised"
                >
                  API docs <span className="text-xs text-muted">(new tab)</span>
                </a>
              </li>
            </ul>
          </nav>
          <Account me={me} />
        </div>
      </header>
      <main id="main" tabIndex={-1} className="min-w-0 outline-none">
        {children}
      </main>
      <News />
    </div>
  );
}

function Account({ me }: { me: Me | undefined }) {
  const isLive = useContext(LiveContext);
  const router = useRouter();
  const queryClient = useQueryClient();
  return (
    <div className="flex flex-col gap-2 border-t border-line px-1 pt-4">
      <Badge tone={isLive ? "good" : "quiet"}>{isLive ? "Live" : "Asking every 10 s"}</Badge>
      {me !== undefined && (
        <p className="text-xs break-words text-muted">
          {me.name}, may {me.permissions.join(", ")}
          <br />
          Version {me.version}
        </p>
      )}
      <ThemeToggle />
      <Button onClick={() => endSession(router, queryClient, false)}>Log out</Button>
    </div>
  );
}
