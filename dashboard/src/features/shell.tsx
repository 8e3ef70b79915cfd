import { useQueryClient } from "@tanstack/react-query";
import { Link, useRouter } from "@tanstack/react-router";
import { type ReactNode, useContext, useState } from "react";
import type { Me } from "@/api/generated";
import { LiveContext } from "@/api/live";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { ThemeToggle } from "@/ui/theme-toggle";
import { CommandPalette } from "./command-palette";
import { endSession } from "./end-session";
import { pagesFor } from "./pages-for";

export function Shell({ me, children }: { me: Me | undefined; children: ReactNode }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <div className="min-h-screen md:grid md:grid-cols-[13rem_1fr]">
      <a
        href="#main"
        className="sr-only focus:not-sr-only focus:absolute focus:z-10 focus:bg-surface focus:p-2"
      >
        To the content
      </a>
      <header className="border-b border-line bg-surface md:sticky md:top-0 md:h-screen md:overflow-y-auto md:border-r md:border-b-0">
        <div className="flex items-center gap-2 p-3 md:p-4">
          <img src="/diamond.svg" alt="" className="size-7" />
          <span className="font-semibold">Diamond Opus</span>
          <Button
            className="ml-auto md:hidden"
            aria-expanded={isOpen}
            aria-controls="menu"
            onClick={() => setOpen(!isOpen)}
          >
            Menu
          </Button>
        </div>
        <div id="menu" className={`${isOpen ? "flex" : "hidden"} flex-col gap-4 p-3 pt-0 md:flex`}>
          <CommandPalette me={me} />
          <nav aria-label="Pages">
            <ul className="flex flex-col gap-0.5">
              {pagesFor(me).map(({ to, label }) => (
                <li key={to}>
                  <Link
                    to={to}
                    activeOptions={{ exact: to === "/" }}
                    onClick={() => setOpen(false)}
                    className="block rounded-md px-3 py-2 hover:bg-raised data-[status=active]:bg-raised data-[status=active]:font-semibold"
                  >
                    {label}
                  </Link>
                </li>
              ))}
              <li>
                <a href="/api-docs" className="block rounded-md px-3 py-2 hover:bg-raised">
                  API docs
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
