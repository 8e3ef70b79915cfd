import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";

/** Fails the build when what every first visit loads, the entry and all that it imports at once, is too large. */
export function limitMainBundle({ gzipKilobytes }: { gzipKilobytes: number }): Plugin {
  return {
    name: "limit-main-bundle",
    apply: "build",
    generateBundle(_options, bundle) {
      const first = new Set<string>();
      const visit = (name: string) => {
        const part = bundle[name];
        if (part?.type !== "chunk" || first.has(name)) return;
        first.add(name);
        part.imports.forEach(visit);
      };
      for (const part of Object.values(bundle))
        if (part.type === "chunk" && part.isEntry) visit(part.fileName);
      let bytes = 0;
      for (const name of first) {
        const part = bundle[name];
        if (part?.type === "chunk") bytes += gzipSync(part.code).length;
      }
      if (bytes > gzipKilobytes * 1024)
        this.error(`the main bundle has ${Math.ceil(bytes / 1024)} KB gzipped, ${gzipKilobytes} are allowed`);
    },
  };
}
