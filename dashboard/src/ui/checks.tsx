import type { ReactNode } from "react";

interface Props<Option extends string> {
  label: string;
  options: readonly Option[];
  chosen: readonly string[];
  onToggle: (option: Option) => void;
}

/** Any number of a few. */
export function Checks<Option extends string>({ label, options, chosen, onToggle }: Props<Option>) {
  return (
    <fieldset className="min-w-0">
      <legend className="text-muted">{label}</legend>
      <div className="mt-1 flex max-h-40 flex-wrap gap-x-4 gap-y-1 overflow-y-auto">
        {options.map((option) => (
          <Check
            key={option}
            label={option}
            checked={chosen.includes(option)}
            onChange={() => onToggle(option)}
          />
        ))}
      </div>
    </fieldset>
  );
}

interface CheckProps {
  label: ReactNode;
  checked: boolean;
  onChange: (checked: boolean) => void;
}

export function Check({ label, checked, onChange }: CheckProps) {
  return (
    <label className="flex min-h-6 items-center gap-2">
      <input
        type="checkbox"
        checked={checked}
        onChange={(event) => onChange(event.target.checked)}
        className="size-4"
      />
      {label}
    </label>
  );
}
