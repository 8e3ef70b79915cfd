import type { AnyRouter } from "@tanstack/react-router";

/** Every page's code, one after the other once there is time: later each opens at once, and while the server is away. */
export function loadPagesWhenIdle(router: AnyRouter): () => void {
  let isOver = false;
  const load = async () => {
    for (const route of Object.values(router.routesById)) {
      if (!isOver) await router.loadRouteChunk(route);
    }
  };
  const timer = setTimeout(() => void load(), 2_000);
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}
