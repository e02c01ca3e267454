import { Duration, Names, Stack } from 'aws-cdk-lib';
import * as cloudfront from 'aws-cdk-lib/aws-cloudfront';
import type { Construct } from 'constructs';
import * as fs from 'node:fs';
import { HEADERS_FILE } from '../shipped.ts';

const POLICY = 'Content-Security-Policy';
/** The local stack's is the same (`local/console.py`). */
const REFERENCE_POLICY = "frame-ancestors 'none'";

type Headers = Readonly<Record<string, string>>;
type Behavior = cloudfront.ResponseSecurityHeadersBehavior;

/** Headers of the page's files. */
export class PageHeaders extends cloudfront.ResponseHeadersPolicy {
  /** `pictures`: origins from which the page may read, and to which it may upload. */
  constructor(scope: Construct, id: string, pictures: readonly string[]) {
    const sent = headers(pictures);
    checkLength(Stack.of(scope).resolve(sent[POLICY]));
    super(scope, id, propsOf(scope, id, sent));
  }
}

/**
 * Headers of the API reference. Its pages have a content policy of their own in them; there `frame-ancestors` would have no effect
 * (W3C, "Content Security Policy", 3.3).
 */
export class ReferenceHeaders extends cloudfront.ResponseHeadersPolicy {
  constructor(scope: Construct, id: string) {
    super(scope, id, propsOf(scope, id, { ...headers([]), [POLICY]: REFERENCE_POLICY }));
  }
}

function headers(pictures: readonly string[]): Headers {
  const written = JSON.parse(fs.readFileSync(HEADERS_FILE, 'utf8')) as Headers;
  return Object.fromEntries(
    Object.entries(written).map(([name, value]) => [name, value.replaceAll('{pictures}', pictures.join(' '))]),
  );
}

/** What CloudFront takes ("Quotas on policies"), and how long what a deployment puts in may be: a region, a domain, the id of a stack. */
const MOST_CHARS = 1_783;
const LONGEST: Readonly<Record<string, number>> = { 'AWS::Region': 14, 'AWS::URLSuffix': 16 };
const STACK_ID_CHARS = 36;

/** `policy`: as the template has it. */
function checkLength(policy: { 'Fn::Join': [string, (string | { Ref?: string })[]] }): void {
  const lengths = policy['Fn::Join'][1].map((part) =>
    typeof part === 'string' ? part.length : (LONGEST[part.Ref ?? ''] ?? STACK_ID_CHARS),
  );
  const length = lengths.reduce((sum, one) => sum + one, 0);
  if (length > MOST_CHARS) {
    const advice = 'Settings sourceBuckets and pictureOrigins must name fewer origins';
    throw new Error(
      `${advice}: the content policy of the page would have ${length} characters, and CloudFront takes ${MOST_CHARS}.`,
    );
  }
}

/** CloudFront has fields of its own for the headers that it calls security headers, and refuses them among the others. */
const FIELDS: Readonly<Record<string, (value: string) => Behavior>> = {
  [POLICY]: (value) => ({ contentSecurityPolicy: { contentSecurityPolicy: value, override: true } }),
  'Strict-Transport-Security': (value) => ({ strictTransportSecurity: { ...readTransport(value), override: true } }),
  'X-Content-Type-Options': () => ({ contentTypeOptions: { override: true } }),
  'Referrer-Policy': (value) => ({
    referrerPolicy: { referrerPolicy: value as cloudfront.HeadersReferrerPolicy, override: true },
  }),
};

function propsOf(scope: Construct, id: string, headers: Headers): cloudfront.ResponseHeadersPolicyProps {
  const entries = Object.entries(headers);
  const fields = entries.map(([header, value]) => FIELDS[header]?.(value));
  const customHeaders = entries
    .filter(([header]) => !FIELDS[header])
    .map(([header, value]) => ({ header, value, override: true }));
  return {
    responseHeadersPolicyName: nameInAccount(scope, id),
    securityHeadersBehavior: Object.assign({}, ...fields) as Behavior,
    customHeadersBehavior: { customHeaders },
  };
}

function readTransport(value: string): { accessControlMaxAge: Duration; includeSubdomains: boolean } {
  const [, seconds, subdomains] = /^max-age=(\d+)(; includeSubDomains)?$/.exec(value) ?? [];
  if (seconds === undefined) throw new Error(`${HEADERS_FILE}: Strict-Transport-Security is ${JSON.stringify(value)}.`);
  return { accessControlMaxAge: Duration.seconds(Number(seconds)), includeSubdomains: subdomains !== undefined };
}

/** CloudFront's policies have one list of names in an account: so another region's deployment has other names. */
export function nameInAccount(scope: Construct, id: string): string {
  return `${Names.uniqueResourceName(scope, { maxLength: 30, separator: '-' })}-${id}-${Stack.of(scope).region}`;
}
