interface Props {
  value: string;
  onChoose: () => void;
}

/** A value in a list, by which the list can be narrowed. */
export function ShowOnly({ value, onChoose }: Props) {
  return (
    <button
      type="button"
      title="Show only these"
      className="min-w-40 text-left wrap-break-word text-accent underline"
      onClick={onChoose}
    >
      {value}
    </button>
  );
}
