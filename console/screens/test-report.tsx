import type { ProviderTest } from '../api/types.ts';

/** What a test of a provider says: whether it works, and if not, what is wrong and where. */
export function TestReport({ test }: { test: ProviderTest }) {
  return (
    <p role="status">
      {test.success ? '✓ ' : '✕ '}
      {test.message}
      {test.path ? ` At ${test.path}.` : ''}
      {typeof test.latency_ms === 'number' ? ` ${test.latency_ms} ms.` : ''}
    </p>
  );
}
