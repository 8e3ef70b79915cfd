import type { ButtonHTMLAttributes, Ref } from "react";

const LOOKS = {
  primary: "bg-accent text-on-accent border-transparent hover:opacity-90",
  plain: "bg-surface text-text border-line hover:bg-raised",
  danger: "bg-surface text-bad border-bad hover:bg-bad-ground",
} as const;

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: keyof typeof LOOKS;
  ref?: Ref<HTMLButtonElement>;
}

export function Button({ look = "plain", className = "", type = "button", ...rest }: Props) {
  return (
    <button
      type={type}
      className={`inline-flex min-h-8 items-center justify-center gap-2 rounded-md border px-3 py-1 font-medium whitespace-nowrap disabled:cursor-not-allowed disabled:opacity-50 aria-disabled:cursor-not-allowed aria-disabled:opacity-50 ${LOOKS[look]} ${className}`}
      {...rest}
    />
  );
}
