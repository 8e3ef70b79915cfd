interface Props {
  label: string;
  value: string;
  onChange: (value: string) => void;
  required?: boolean;
  type?: "text" | "number";
}

export function Field({ label, value, onChange, required, type = "text" }: Props) {
  return (
    <label className="flex flex-col gap-1">
      {label}
      <input
        type={type}
        value={value}
        required={required}
        onChange={(event) => onChange(event.target.value)}
        className="rounded-md border border-line bg-ground px-3 py-1.5 text-text"
      />
    </label>
  );
}
