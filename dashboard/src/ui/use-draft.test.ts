import { act, renderHook } from "@testing-library/react";
import { expect, test } from "vitest";
import { useDraft } from "./use-draft";

test("a draft is kept until another address is there, and what was left is not brought back", () => {
  const { result, rerender } = renderHook(({ sent }) => useDraft(sent), {
    initialProps: { sent: { name: "a" } },
  });
  act(() => result.current[1]({ name: "ab" }));
  rerender({ sent: { name: "a" } });
  expect(result.current[0]).toEqual({ name: "ab" });
  rerender({ sent: { name: "ab" } });
  expect(result.current[0]).toEqual({ name: "ab" });
  rerender({ sent: { name: "a" } });
  expect(result.current[0]).toEqual({ name: "a" });
});
