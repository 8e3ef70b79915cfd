import { defineConfig } from "orval";

// openapi.json is what `diamond openapi` prints. The client is committed: a review sees what a change of the API means
// to who calls it, and the build needs no API. CI makes it anew and compares.
export default defineConfig({
  diamond: {
    input: "openapi.json",
    output: {
      mode: "single",
      target: "src/api/generated.ts",
      client: "fetch",
      override: {
        mutator: { path: "src/api/call.ts", name: "call" },
        fetch: { includeHttpResponseReturnType: false },
      },
    },
  },
});
