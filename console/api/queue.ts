import type { Row } from '../ui/claims.ts';
import type { paths } from './schema.ts';

/** The calls of the review queue, until schema.ts has them. */
interface Post<Sent, Json> {
  get?: never;
  patch?: never;
  delete?: never;
  post: {
    parameters: { path: { uid: string } };
    requestBody: { content: { 'application/json': Sent } };
    responses: { 200: { content: { 'application/json': Json } } };
  };
}

declare module './schema.ts' {
  interface paths {
    '/projects/{uid}/review-queue/': {
      post?: never;
      patch?: never;
      delete?: never;
      get: {
        parameters: {
          path: { uid: string };
          query?: {
            order?: string | null;
            label?: string | null;
            job?: string | null;
            min_confidence?: number | null;
            max_confidence?: number | null;
            limit?: number | null;
          };
        };
        responses: {
          200: {
            content: {
              'application/json': { next: string | null; results: Row[]; remaining: { count: number; is_exact: boolean } };
            };
          };
        };
      };
    };
    '/projects/{uid}/review-queue/claim/': Post<object, { items: Row[]; cursor: string | null; claimed_until: string | null }>;
    '/projects/{uid}/review-queue/renew/': Post<{ items: string[] }, { items: string[]; lost: string[] }>;
    '/projects/{uid}/review-queue/release/': Post<{ items: string[] }, { items: string[]; lost: string[] }>;
    '/projects/{uid}/review-queue/skip/': Post<{ item: string }, { item: string }>;
  }
}

export type { paths };
