import { useId } from "react";

interface Props {
  label: string;
  value: string;
  onChange: (value: string) => void;
  required?: boolean;
  type?: "text" | "number" | "datetime-local";
  /** Of a number. */
  min?: number;
  max?: number;
  /** Between the numbers that are allowed; without it they are whole. */
  step?: number | "any";
  /** What is wrong with it. */
  problem?: string;
}

export function Field({ label, value, onChange, type = "text", problem, ...rest }: Props) {
  const problemId = useId();
  return (
    <div className="flex min-w-0 flex-col gap-1">
      <label className="flex flex-col gap-1">
        {label}
        <input
          type={type}
          value={value}
          onChange={(event) => onChange(event.target.value)}
          {...rest}
          aria-invalid={problem !== undefined}
          aria-describedby={problem === undefined ? undefined : problemId}
          className="w-full rounded-md border border-line bg-ground px-3 py-1.5 text-text aria-invalid:border-bad"
        />
      </label>
      {problem !== undefined && (
        <p id={problemId} className="text-bad">
          {problem}
        </p>
      )}
    </div>
  );
}
