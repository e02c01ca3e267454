import { beforeEach, expect, it, vi } from 'vitest';
import { filterOf, readTone, setTone, stepTone, subscribeTone, toneInWords } from './tone.ts';

beforeEach(() => setTone());

it('goes by steps, there and back to the picture as it is in the file', () => {
  for (let step = 0; step < 5; step++) {
    stepTone('brightness', 1);
    stepTone('contrast', -1);
  }
  expect(toneInWords(readTone())).toBe('Brightness 305 %, contrast 33 %');
  for (let step = 0; step < 5; step++) {
    stepTone('brightness', -1);
    stepTone('contrast', 1);
  }
  expect(readTone()).toEqual({ brightness: 1, contrast: 1 });
  expect(filterOf(readTone())).toBe('none');
});

it('stays within bounds, and says each change', () => {
  const listener = vi.fn();
  const unsubscribe = subscribeTone(listener);
  setTone({ brightness: 100 });
  setTone({ contrast: 0 });
  expect(filterOf(readTone())).toBe('brightness(4) contrast(0.25)');
  unsubscribe();
  setTone();
  expect(listener).toHaveBeenCalledTimes(2);
});
