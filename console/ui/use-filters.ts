import { useEffect, useState } from 'react';
import { useSearchParams } from 'react-router';
import { filtersOf, searchOf, withFilters, type Filters } from './filters.ts';

/** A moved handle comes to rest so long before it counts. */
const REST_MS = 250;

export interface Filtering {
  /** As the person sets them. */
  readonly filters: Filters;
  /** As the address has them: what calls are made by. */
  readonly settled: Filters;
  change(part: Partial<Filters>): void;
}

/** Filters that are in the address of the screen. Other parts of the address stay. */
export function useFilters(): Filtering {
  const [search, setSearch] = useSearchParams();
  const [filters, setFilters] = useState(() => filtersOf(search));
  useEffect(() => {
    if (searchOf(filters).toString() === searchOf(filtersOf(search)).toString()) {
      return undefined;
    }
    const timer = setTimeout(() => setSearch(withFilters(search, filters), { replace: true }), REST_MS);
    return () => clearTimeout(timer);
  }, [filters, search, setSearch]);
  return { filters, settled: filtersOf(search), change: (part) => setFilters({ ...filters, ...part }) };
}
