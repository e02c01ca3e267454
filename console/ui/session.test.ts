import { beforeEach, describe, expect, it, vi } from 'vitest';
import {
  forgetKey,
  isKey,
  keepKey,
  readKey,
  readOffer,
  refuseKey,
  refuseOffer,
  subscribe,
  takeKeyOfFragment,
  whyForgotten,
} from './session.ts';

const kept = new Map<string, string>();
let address: URL;
beforeEach(() => {
  kept.clear();
  vi.stubGlobal('sessionStorage', {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, value: string) => kept.set(name, value),
    removeItem: (name: string) => kept.delete(name),
  });
  vi.stubGlobal('history', { replaceState: (_: unknown, __: string, to: string) => (address = new URL(to, address)) });
  forgetKey();
  refuseOffer();
});

function follow(fragment: string): void {
  address = new URL(`https://console.example/projects/p?queue=all${fragment}`);
  vi.stubGlobal('location', address);
  takeKeyOfFragment();
}

describe('a link with a key', () => {
  it('signs in a tab that has none, and leaves no key in the address', () => {
    follow('#key=avk_one');
    expect([readKey(), readOffer()]).toEqual(['avk_one', null]);
    expect(address.href).toBe('https://console.example/projects/p?queue=all');
    follow('#key=avk_one');
    expect([readKey(), readOffer()]).toEqual(['avk_one', null]);
    follow('#part');
    expect(address.hash).toBe('#part');
  });

  it('does not replace the key of a tab that is signed in: the person says which one', () => {
    const heard = vi.fn();
    keepKey('avk_mine');
    const unsubscribe = subscribe(heard);
    follow('#key=avk_theirs');
    unsubscribe();
    expect(heard).toHaveBeenCalledOnce();
    expect([readKey(), readOffer(), address.hash]).toEqual(['avk_mine', 'avk_theirs', '']);
    refuseOffer();
    expect([readKey(), readOffer()]).toEqual(['avk_mine', null]);
    follow('#key=avk_theirs');
    keepKey('avk_theirs');
    expect([readKey(), readOffer()]).toEqual(['avk_theirs', null]);
  });
});

it('knows what cannot be a key: it could not be sent', () => {
  expect(isKey('avk_aZ09-_.')).toBe(true);
  for (const text of ['', 'avk_ключ', 'avk_“x”', 'avk_a b', 'avk_é', 'avk_a\nb']) {
    expect(isKey(text), text).toBe(false);
  }
  follow('#key=avk_%D0%BA');
  expect([readKey(), readOffer(), address.hash]).toEqual([null, null, '']);
});

it('forgets a refused key, and not the one that the tab has by then', () => {
  keepKey('avk_new');
  refuseKey('avk_old');
  expect(readKey()).toBe('avk_new');
  refuseKey('avk_new');
  expect(readKey()).toBe(null);
  expect(whyForgotten()).toContain('was refused');
});
