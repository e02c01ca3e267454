/**
 * The settings of a deployment: their defaults, and what a legal value is.
 *
 * One rule per setting reads both forms that a value comes in: typed, from a construct's props, and text, from `cdk -c name=value`.
 * A value that breaks its rule ends the synthesis with a sentence that names the setting.
 */

import type { Node } from 'constructs';
import * as functions from './functions/index.ts';
import { SHIPPED } from './shipped.ts';

/** A setting that was not given takes its default. Those marked (path) are relative to the folder in which the app runs; a packed package has those of the defaults inside. */
export interface Settings {
  /** Folder with one folder per function, each holding a `bootstrap` built for `architecture` (path). @default ../target/lambda */
  readonly binaries: string;
  /** Whether a `bootstrap` that Lambda cannot run ends the synthesis: `deny`, or `allow` for a stand-in for AWS. @default deny */
  readonly foreignBinaries: 'deny' | 'allow';
  /** Definition of the workflow, with the placeholders `${PlanArn}`, `${InferArn}`, `${FinalizeArn}` and `${BucketName}` (path). @default ../statemachine.asl.json */
  readonly stateMachineFile: string;
  /** Processor of all functions: `x86_64` or `arm64`. @default x86_64 */
  readonly architecture: Architecture;
  /** SageMaker endpoint that serves a model type where no provider is configured. @default {} (none) */
  readonly sagemakerEndpoints: Partial<Record<ModelType, string>>;
  /** Whether these endpoints serve the jobs of projects without an active provider: `allow` or `deny`. Jobs that run end. @default allow */
  readonly endpointFallback: 'allow' | 'deny';
  /** Buckets that items may come from, each with the slugs of the organizations that may name it. @default {} (none) */
  readonly sourceBuckets: Readonly<Record<string, readonly string[]>>;
  /** Items that one job takes at most, 1 to 1,000,000 (docs/scaling.md). @default 5000 */
  readonly itemCap: number;
  /** Batches of up to 5,000 items that an inline Map takes, 0 to 500. A job of more batches has a Distributed Map. @default 100 */
  readonly inlineBatches: number;
  /** Workers of a job, which are Map iterations at once, 1 to 40. A job has fewer if its provider's limit takes fewer. @default 4 */
  readonly workers: number;
  /** Model calls in flight that one worker drives, 1 to 1,000. @default 64 */
  readonly slotsPerWorker: number;
  /** Model calls of a job in flight, over all its workers, at the endpoints of `sagemakerEndpoints`, 1 to 1,000. @default 16 */
  readonly maxConcurrency: number;
  /** Seconds that a job waits for an endpoint that does not answer, 1 to 86,400, and fewer than `staleJobSeconds`. @default 600 */
  readonly patienceSeconds: number;
  /** Name that drafts carry as their author. @default autolabel-bot */
  readonly botUser: string;
  /** Stage of the HTTP API. Any name but `$default` becomes a prefix of every path. @default $default */
  readonly stageName: string;
  /** Seconds that a process trusts a checked API key without reading it again, 0 to 3,600. A revoked key works so long. @default 60 */
  readonly keyCacheSeconds: number;
  /** Requests that an API key may make in a minute, unless it has a limit of its own, 1 to 1,000,000. @default 100 */
  readonly requestsPerMinute: number;
  /** Of these requests, those that a key or an address may make in one second, 1 to 1,000,000. @default 20 */
  readonly requestsPerSecond: number;
  /** Requests that an address may make in a minute without a valid key, 1 to 1,000,000. @default 30 */
  readonly unauthenticatedPerMinute: number;
  /** Origin whose pages may call the API, and read and upload items, from a browser. @default '' (none) */
  readonly corsOrigin: string;
  /** Whether Mission Control, the page on which people review, is deployed: `on` or `off`. @default on */
  readonly console: 'on' | 'off';
  /** Folder of the page as it is built (path). @default ../console/dist */
  readonly consoleFiles: string;
  /** Folder of the API reference, which is served beside the page below `/reference/` (path); '' for none. @default ../target/reference */
  readonly referenceFiles: string;
  /** Domain of the page. Its DNS record names the output `ConsoleDistributionDomain`. @default '' (a domain of CloudFront's) */
  readonly consoleDomain: string;
  /** ARN of a certificate for `consoleDomain`, which CloudFront reads in us-east-1. @default '' (none) */
  readonly consoleCertificateArn: string;
  /** Edge locations that serve the page: those of price class `100`, `200` or `all`. @default 100 */
  readonly consolePriceClass: '100' | '200' | 'all';
  /** Bucket, with ACLs, to which CloudFront writes its access logs below `console/`. @default '' (none) */
  readonly consoleLogBucket: string;
  /** ARN of a web ACL of WAF, of scope CLOUDFRONT, in front of the page and of the API behind it. @default '' (none) */
  readonly webAclArn: string;
  /**
   * Origins, beside those of the buckets, from which the page may read files of items. They must answer with CORS headers for the
   * page. @default [] (none)
   */
  readonly pictureOrigins: readonly string[];
  /** Whether `GET /openapi.json` is answered without a key. Without one, the limit of the address counts. @default allow */
  readonly publicDescription: 'allow' | 'deny';
  /**
   * Concurrency that is reserved for a function, by its name: other functions of the account cannot take it, and the function takes
   * no more. An account keeps 100 unreserved, and a new one has 10 in all. @default {} (none)
   */
  readonly reservedConcurrency: Readonly<Partial<Record<FunctionName, number>>>;
  /** Invocations of `deliver` by the webhook queue at once, 4 to 1,000. One organization has a quarter of them at most. @default 20 */
  readonly webhookConcurrency: number;
  /** The same by the overflow queue, for further attempts and for what exceeds an organization's quarter, 2 to 1,000. @default 10 */
  readonly overflowConcurrency: number;
  /** Seconds before each further attempt of a webhook delivery, 1 to 10 numbers up to 86,400. @default 60,300,900,3600,10800 */
  readonly webhookRetrySeconds: readonly number[];
  /** Origin, with an optional prefix, in front of `/api/v1` in `next` and `previous`. @default '' (the domain that was called) */
  readonly publicBaseUrl: string;
  /** Certificate authorities beside Mozilla's whose servers may be called, one file of PEM (path). @default '' (none) */
  readonly extraRoots: string;
  /** Whether this machine, by HTTP or HTTPS, is a legal provider or webhook; without effect on AWS. @default deny */
  readonly loopbackHttp: 'deny' | 'allow';
  /** Minutes between two rounds of the watchdog, and between two checks of waiting uploads and of exports, 1 to 1,440. @default 1 */
  readonly settleScheduleMinutes: number;
  /** Seconds that an upload waits at most for a pause of the uploads, 60 to 86,400; then a job starts. @default 900 */
  readonly uploadWaitSeconds: number;
  /** Days after which an export and its files are removed, 1 to 365. @default 7 */
  readonly exportDays: number;
  /** GiB that an organization may upload as datasets, 1 to 1,000,000. @default 1024 */
  readonly uploadQuotaGib: number;
  /**
   * Seconds without progress after which the watchdog checks an active job, 1 to 86,400. Choose more than a task may wait for
   * concurrency. @default 1800
   */
  readonly staleJobSeconds: number;
  /** ARN of an SNS topic that is notified when an alarm rings, and when it stops. @default '' (none) */
  readonly alarmTopic: string;
  /** Days for which logs are kept, one of those that CloudWatch has. @default 30 */
  readonly logDays: number;
  /** Requests of all clients that the stage of the API takes in a second, on average, 1 to 10,000. It refuses more with 429. @default 500 */
  readonly stageRequestsPerSecond: number;
  /** Requests that the stage takes at once, 1 to 5,000. @default 1000 */
  readonly stageBurst: number;
  /** Level of the functions' logs, by module too: `warn,infer=debug`. @default info */
  readonly logLevel: string;
}

/** A folder below `functions/`, its binary, and its construct in `lib/functions/`. */
export type FunctionName = keyof typeof functions;

export type Architecture = 'x86_64' | 'arm64';
export type ModelType = 'yolo' | 'sam3';

/** What a given value must be; the sentence completes "setting itemCap must be …". */
class Refused extends Error {}

interface Rule<T> {
  readonly fallback: T;
  readonly read: (value: unknown) => T;
}

const RULES: { readonly [K in keyof Settings]: Rule<Settings[K]> } = {
  binaries: text(SHIPPED.binaries, /^.+$/, 'the path of a folder'),
  foreignBinaries: oneOf('deny', 'allow'),
  stateMachineFile: text(SHIPPED.stateMachineFile, /^.+$/, 'the path of a file'),
  architecture: oneOf('x86_64', 'arm64'),
  sagemakerEndpoints: { fallback: {}, read: readEndpoints },
  endpointFallback: oneOf('allow', 'deny'),
  sourceBuckets: { fallback: {}, read: readBuckets },
  itemCap: wholeNumber(5_000, 1, 1_000_000),
  inlineBatches: wholeNumber(100, 0, 500),
  workers: wholeNumber(4, 1, 40),
  slotsPerWorker: wholeNumber(64, 1, 1_000),
  maxConcurrency: wholeNumber(16, 1, 1_000),
  patienceSeconds: wholeNumber(600, 1, 86_400),
  botUser: text('autolabel-bot', /^[\w.@-]{1,64}$/, 'a name of 1 to 64 letters, digits, or any of . _ @ -'),
  stageName: text('$default', /^(\$default|[\w-]{1,128})$/, '$default, or 1 to 128 letters, digits, _ or -'),
  keyCacheSeconds: wholeNumber(60, 0, 3_600),
  requestsPerMinute: wholeNumber(100, 1, 1_000_000),
  requestsPerSecond: wholeNumber(20, 1, 1_000_000),
  unauthenticatedPerMinute: wholeNumber(30, 1, 1_000_000),
  corsOrigin: { fallback: '', read: readCorsOrigin },
  console: oneOf('on', 'off'),
  consoleFiles: text(SHIPPED.consoleFiles, /^.+$/, 'the path of a folder'),
  referenceFiles: text(SHIPPED.referenceFiles, /^.*$/, 'the path of a folder, or empty'),
  consoleDomain: text('', /^(|([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,})$/, 'empty, or a domain such as labels.example.com'),
  consoleCertificateArn: text(
    '',
    /^(|arn:aws:acm:us-east-1:\d{12}:certificate\/[\w-]+)$/,
    'empty, or the ARN of a certificate in us-east-1',
  ),
  consolePriceClass: oneOf('100', '200', 'all'),
  consoleLogBucket: text('', /^(|[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])$/, 'empty, or the name of a bucket'),
  webAclArn: text(
    '',
    /^(|arn:aws:wafv2:us-east-1:\d{12}:global\/webacl\/[\w-]+\/[\w-]+)$/,
    'empty, or the ARN of a web ACL of scope CLOUDFRONT',
  ),
  pictureOrigins: { fallback: [], read: readOrigins },
  publicDescription: oneOf('allow', 'deny'),
  reservedConcurrency: { fallback: {}, read: readReserved },
  webhookConcurrency: wholeNumber(20, 4, 1_000),
  overflowConcurrency: wholeNumber(10, 2, 1_000),
  webhookRetrySeconds: { fallback: [60, 300, 900, 3_600, 10_800], read: readDelays },
  publicBaseUrl: { fallback: '', read: readBaseUrl },
  extraRoots: text('', /^.*$/, 'the path of a PEM file, or empty'),
  loopbackHttp: oneOf('deny', 'allow'),
  settleScheduleMinutes: wholeNumber(1, 1, 1_440),
  uploadWaitSeconds: wholeNumber(900, 60, 86_400),
  exportDays: wholeNumber(7, 1, 365),
  uploadQuotaGib: wholeNumber(1_024, 1, 1_000_000),
  staleJobSeconds: wholeNumber(1_800, 1, 86_400),
  alarmTopic: text('', /^(|arn:aws[\w-]*:sns:[\w-]+:\d{12}:[\w-]+)$/, 'empty, or the ARN of an SNS topic'),
  logDays: { fallback: 30, read: readDays },
  stageRequestsPerSecond: wholeNumber(500, 1, 10_000),
  stageBurst: wholeNumber(1_000, 1, 5_000),
  logLevel: text('info', /^[\w:=,-]+$/, 'a filter such as info or info,jobs=debug'),
};

const NAMES = Object.keys(RULES) as (keyof Settings)[];

/** All settings, the missing ones by default. Throws on the first illegal one. */
export function resolveSettings(given: Partial<Settings>): Settings {
  const settings = Object.fromEntries(NAMES.map((name) => [name, resolve(name, given[name])])) as unknown as Settings;
  const { patienceSeconds, staleJobSeconds, consoleDomain, consoleCertificateArn } = settings;
  // The watchdog ends a job without progress, whatever the reason. So a job must run out of patience earlier.
  if (patienceSeconds >= staleJobSeconds) {
    throw new Error(`Setting patienceSeconds (${patienceSeconds}) must be below staleJobSeconds (${staleJobSeconds}).`);
  }
  if ((consoleDomain === '') !== (consoleCertificateArn === '')) {
    throw new Error(
      'Settings consoleDomain and consoleCertificateArn must be given together: CloudFront serves no domain without its certificate.',
    );
  }
  return settings;
}

/** The endpoints of `sagemakerEndpoints` that a new job may have. A worker needs all of them: a job of before may still run. */
export function fallbackEndpoints(settings: Settings): Settings['sagemakerEndpoints'] {
  return settings.endpointFallback === 'allow' ? settings.sagemakerEndpoints : {};
}

/** The settings given as CDK context, by `-c name=value` or in `cdk.json`. */
export function settingsFromContext(node: Node): Settings {
  const given = NAMES.map((name) => [name, node.tryGetContext(name) as unknown]);
  return resolveSettings(Object.fromEntries(given) as Partial<Settings>);
}

function resolve<K extends keyof Settings>(name: K, value: unknown): Settings[K] {
  const rule: Rule<Settings[K]> = RULES[name];
  if (value === undefined) return rule.fallback;
  try {
    return rule.read(value);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    throw new Error(`Setting ${name} must be ${error.message}; it is ${JSON.stringify(value)}.`, { cause: error });
  }
}

function text(fallback: string, pattern: RegExp, expected: string): Rule<string> {
  return {
    fallback,
    read: (value) => {
      if (typeof value !== 'string' || !pattern.test(value)) throw new Refused(expected);
      return value;
    },
  };
}

/** The first choice is the default. */
function oneOf<T extends string>(...choices: [T, ...T[]]): Rule<T> {
  return {
    fallback: choices[0],
    read: (value) => {
      const choice = choices.find((known) => known === value);
      if (choice === undefined) throw new Refused(choices.join(' or '));
      return choice;
    },
  };
}

function wholeNumber(fallback: number, min: number, max: number): Rule<number> {
  return { fallback, read: (value) => readWhole(value, min, max, `a whole number from ${min} to ${max}`) };
}

function readWhole(value: unknown, min: number, max: number, expected: string): number {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number) || number < min || number > max) throw new Refused(expected);
  return number;
}

/** What CloudWatch Logs takes ("PutRetentionPolicy"). */
const DAYS = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

function readDays(value: unknown): number {
  const expected = `one of ${DAYS.join(', ')}`;
  const days = readWhole(value, 1, 3_653, expected);
  if (!DAYS.includes(days)) throw new Refused(expected);
  return days;
}

function readDelays(value: unknown): number[] {
  const expected = '1 to 10 whole numbers from 1 to 86400, separated by commas';
  const parts: unknown = typeof value === 'string' ? value.split(',') : value;
  if (!Array.isArray(parts) || parts.length < 1 || parts.length > 10) throw new Refused(expected);
  return parts.map((part) => readWhole(part, 1, 86_400, expected));
}

function readEndpoints(value: unknown): Settings['sagemakerEndpoints'] {
  const expected = 'a JSON object that gives an endpoint name for yolo, for sam3, or for both';
  const endpoints = readObject(value, expected);
  for (const [modelType, endpoint] of Object.entries(endpoints)) {
    if (modelType !== 'yolo' && modelType !== 'sam3') throw new Refused(expected);
    if (typeof endpoint !== 'string' || !/^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/.test(endpoint)) throw new Refused(expected);
  }
  return endpoints;
}

function readReserved(value: unknown): Settings['reservedConcurrency'] {
  const expected = `a JSON object that gives whole numbers from 1 to 10000 for any of ${Object.keys(functions).join(', ')}`;
  const reserved = Object.entries(readObject(value, expected)).map(([name, count]) => {
    if (!Object.hasOwn(functions, name)) throw new Refused(expected);
    return [name, readWhole(count, 1, 10_000, expected)];
  });
  return Object.fromEntries(reserved);
}

function readBuckets(value: unknown): Settings['sourceBuckets'] {
  const expected = 'a JSON object that gives a list of organization slugs for each bucket';
  const buckets = readObject(value, expected);
  for (const [bucket, slugs] of Object.entries(buckets)) {
    if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket) || !Array.isArray(slugs)) throw new Refused(expected);
    if (!slugs.every((slug) => typeof slug === 'string' && /^[a-z0-9]+(-[a-z0-9]+)*$/.test(slug))) throw new Refused(expected);
  }
  return buckets as Settings['sourceBuckets'];
}

function readObject(value: unknown, expected: string): Record<string, unknown> {
  const object = typeof value === 'string' ? parseJson(value) : value;
  if (typeof object !== 'object' || object === null || Array.isArray(object)) throw new Refused(expected);
  return object as Record<string, unknown>;
}

function parseJson(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

function readBaseUrl(value: unknown): string {
  const expected = 'empty, or an https URL (http for localhost) that ends neither in a slash nor in /api/v1';
  if (value === '') return '';
  const text = readUrl(value, expected);
  const url = new URL(text);
  const plain = url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (!plain || /(\/|\/api\/v1|[?#])$/.test(text)) throw new Refused(expected);
  return text;
}

/** Origins whose pages may read items from the bucket and upload them to it: Mission Control, that of the API, and `corsOrigin`. */
export function pageOriginsOf({ publicBaseUrl, corsOrigin }: Settings, consoleOrigin = ''): string[] {
  const own = publicBaseUrl === '' ? '' : new URL(publicBaseUrl).origin;
  return [...new Set([consoleOrigin, own, corsOrigin])].filter((origin) => origin !== '');
}

function readCorsOrigin(value: unknown): string {
  return value === ''
    ? ''
    : readOrigin(value, 'empty, or an https origin (http for localhost) such as https://labels.example.com');
}

function readOrigins(value: unknown): string[] {
  const expected = 'https origins such as https://pictures.example.com, separated by commas';
  const parts: unknown = typeof value === 'string' ? value.split(',').filter((part) => part !== '') : value;
  if (!Array.isArray(parts)) throw new Refused(expected);
  return parts.map((part) => readOrigin(part, expected));
}

/** Exactly as browsers write it: they compare it with a header. */
function readOrigin(value: unknown, expected: string): string {
  const text = readUrl(value, expected);
  if (new URL(text).origin !== text) throw new Refused(expected);
  return text;
}

/** Plain HTTP is legal for this machine alone: the clients refuse it for any other host (contract, 1.1). */
function readUrl(value: unknown, expected: string): string {
  if (typeof value !== 'string' || !URL.canParse(value)) throw new Refused(expected);
  const url = new URL(value);
  const loopback = url.hostname === 'localhost' || url.hostname === '127.0.0.1';
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback)) throw new Refused(expected);
  return value;
}
