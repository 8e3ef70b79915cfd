/** Longer texts, such as what a supplier answered, would make of a row a page. */
const MOST_CHARACTERS = 120;

/** A text's beginning, up to the end of a word; all of it where it is short. */
export function shortened(text: string, most = MOST_CHARACTERS): string {
  if (text.length <= most) return text;
  const start = text.slice(0, most);
  const end = start.lastIndexOf(" ");
  return `${(end > most / 2 ? start.slice(0, end) : start).trimEnd()} …`;
}

/** A text of any length: the beginning of a long one, and the rest when it is asked for. */
export function LongText({ text, most }: { text: string; most?: number }) {
  const short = shortened(text, most);
  if (short === text) return <span className="wrap-anywhere">{text}</span>;
  return (
    <details className="group min-w-60">
      <summary className="wrap-anywhere">
        <span className="group-open:hidden">{short}</span>
        <span className="hidden group-open:inline">{text}</span>
      </summary>
    </details>
  );
}
