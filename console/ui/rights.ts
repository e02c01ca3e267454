import type { Key, Scope } from '../api/types.ts';

/** What the page can do, and the scopes of which a key needs one (contract, 2). */
const RIGHTS = {
  review: ['results.write', 'projects.write'],
  /** Projects, items, jobs. */
  change: ['projects.write'],
  changeProviders: ['inference.write'],
  export: ['exports.create'],
} as const satisfies Record<string, readonly Scope[]>;

export type Right = keyof typeof RIGHTS;

/** Why a key may not do something, for people; `false` if it may. */
export function lack({ is_unrestricted: isUnrestricted, scopes }: Pick<Key, 'is_unrestricted' | 'scopes'>, right: Right) {
  const needed: readonly Scope[] = RIGHTS[right];
  const isGiven = isUnrestricted || needed.some((scope) => scopes.includes(scope));
  return !isGiven && `Your key needs the scope ${needed[0]}.`;
}

/** Whose key it is, and until when. */
export function described({ name, expires_at: expires }: Pick<Key, 'name' | 'expires_at'>): string {
  return expires ? `${name}, until ${new Date(expires).toLocaleString()}` : name;
}
