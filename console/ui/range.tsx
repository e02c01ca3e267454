import css from './range.module.css';

type Range = readonly [least: number, most: number];

/** A range of confidence, 0 to 1, with two handles. `names`: what each handle is, for screen readers. */
export function ConfidenceRange(given: { value: Range; names: readonly [string, string]; set(value: Range): void }) {
  const { value, names, set } = given;
  const [least, most] = value;
  return (
    <div className={css['range']}>
      <div className={css['track']}>
        <Handle name={names[0]} value={least} isAbove={least > 0.5} set={(to) => set([Math.min(to, most), most])} />
        <Handle name={names[1]} value={most} isAbove={least <= 0.5} set={(to) => set([least, Math.max(to, least)])} />
      </div>
      <output>
        {percentOf(least)} to {percentOf(most)} %
      </output>
    </div>
  );
}

/** `isAbove`: where both are at one end, the one that can be moved is on top. */
function Handle(given: { name: string; value: number; isAbove: boolean; set(value: number): void }) {
  const { name, value, isAbove, set } = given;
  return (
    <input
      type="range"
      min={0}
      max={100}
      value={percentOf(value)}
      aria-label={name}
      aria-valuetext={`${percentOf(value)} %`}
      className={isAbove ? css['above'] : ''}
      onChange={(event) => set(Number(event.target.value) / 100)}
    />
  );
}

function percentOf(value: number): number {
  return Math.round(value * 100);
}
