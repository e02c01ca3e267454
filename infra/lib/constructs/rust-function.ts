import { Duration, RemovalPolicy, Size } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import * as path from 'node:path';
import { acknowledgeWildcard, type Wildcard } from '../acknowledge.ts';
import type { AutoLabel } from '../autolabel.ts';
import { checkBootstrap } from '../elf.ts';
import { existing, extraRoots } from '../files.ts';
import type { FunctionName } from '../settings.ts';
import { Alarm, LASTING, percent } from './alarm.ts';
import type { WorkQueue } from './queues.ts';

/**
 * Memory with which Lambda gives a function one whole processor (AWS, "Configure Lambda function memory"). Plan and infer need the
 * processor and not the memory: a GPU that waits for a third of one costs more (docs/decisions/0018).
 */
export const ONE_PROCESSOR_MIB = 1_769;

const DEFAULT_MEMORY_MIB = 256;

/** A burst is throttled and retried. Two a minute for long are a lack of concurrency. */
const THROTTLES_IN_FIVE_MINUTES = 10;
const ERRORS_PERCENT = 10;
const DURATION_SHARE = 0.8;

export interface RustFunctionProps {
  /** What the function does, as a clause: "Signs and sends webhook deliveries". */
  readonly description: string;
  readonly timeoutSeconds: number;
  /** @default 256 */
  readonly memoryMiB?: number;
  /** The disk under `/tmp`. @default half a GiB */
  readonly diskGiB?: number;
  /** Its own variables, beside those that every function has. @default none */
  readonly environment?: Record<string, string>;
  /**
   * The function sends messages to the queue that invokes it, and ends these chains itself. Lambda would end such a chain after
   * 16 rounds (AWS, "Use Lambda recursive loop detection"). @default false
   */
  readonly isRecursive?: boolean;
  /** Invocations at once that its queues ask for. A smaller reserve ends the synthesis. @default 0 */
  readonly queueConcurrency?: number;
}

/**
 * One Lambda function from one prebuilt binary, with a log group, a role and an alarm on throttles of its own.
 *
 * The name is that of the folder below `functions/`, of the binary and of the construct. The role may write its log group; a
 * function adds its further rights. The role is made here because the one that CDK would make carries a managed policy that may
 * write every log group of the account.
 */
export class RustFunction extends lambda.Function {
  readonly app: AutoLabel;

  constructor(app: AutoLabel, name: FunctionName, props: RustFunctionProps) {
    const { settings, table } = app;
    const binary = existing(settings, 'binaries', path.join(settings.binaries, name, 'bootstrap'));
    if (settings.foreignBinaries === 'deny') checkBootstrap(binary, settings.architecture);
    const logGroup = new logs.LogGroup(app, `${name}Logs`, {
      retention: settings.logDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new iam.Role(app, `${name}Role`, { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') });
    super(app, name, {
      description: `Autolabel: ${props.description}`,
      runtime: lambda.Runtime.PROVIDED_AL2023,
      architecture: settings.architecture === 'arm64' ? lambda.Architecture.ARM_64 : lambda.Architecture.X86_64,
      handler: 'bootstrap',
      code: lambda.Code.fromAsset(path.dirname(binary)),
      timeout: Duration.seconds(props.timeoutSeconds),
      memorySize: props.memoryMiB ?? DEFAULT_MEMORY_MIB,
      ...(props.diskGiB === undefined ? {} : { ephemeralStorageSize: Size.gibibytes(props.diskGiB) }),
      environment: {
        TABLE_NAME: table.tableName,
        RUST_LOG: settings.logLevel,
        LOOPBACK_HTTP: settings.loopbackHttp,
        EXTRA_ROOTS: extraRoots(settings),
        ...props.environment,
      },
      recursiveLoop: props.isRecursive ? lambda.RecursiveLoop.ALLOW : lambda.RecursiveLoop.TERMINATE,
      ...reserve(app, name, props.queueConcurrency ?? 0),
      role,
      logGroup,
    });
    this.app = app;
    logGroup.grantWrite(role);
    new Alarm(app, `${name}ThrottlesAlarm`, {
      event: `${name} found no concurrency`,
      metric: this.metricThrottles(),
      threshold: THROTTLES_IN_FIVE_MINUTES,
      periods: LASTING,
    });
  }

  /** Rings if a tenth of the invocations fail, for longer than what a retry heals. Not for functions that fail by design. */
  alarmOnErrors(id: string): void {
    const metric = percent(this.metricErrors(), this.metricInvocations());
    new Alarm(this.app, id, { event: `${this.node.id} fails`, metric, threshold: ERRORS_PERCENT, periods: LASTING });
  }

  /** Rings if the function nearly runs out of its time. */
  alarmOnDuration(id: string): void {
    const metric = this.metricDuration({ statistic: 'Maximum' });
    const threshold = DURATION_SHARE * this.timeout!.toMilliseconds();
    new Alarm(this.app, id, { event: `${this.node.id} nearly runs out of time`, metric, threshold, periods: LASTING });
  }

  /** Allows exactly `actions` on exactly `resources`. CDK's own grant methods add wildcards and actions that we do not use. */
  allow(actions: string[], ...resources: (string | Wildcard)[]): void {
    for (const resource of resources) {
      if (typeof resource !== 'string') acknowledgeWildcard(this.role!, resource);
    }
    const arns = resources.map((resource) => (typeof resource === 'string' ? resource : resource.arn));
    this.addToRolePolicy(new iam.PolicyStatement({ actions, resources: arns }));
  }

  /** Allows messages to `queue`, whose URL the function reads from `variable`. */
  allowSending(queue: sqs.IQueue, variable: string): void {
    this.addEnvironment(variable, queue.queueUrl);
    this.allow(['sqs:SendMessage'], queue.queueArn);
  }

  /** Invokes the function with batches of messages. Lambda reads the queue with the function's rights. */
  consume(
    id: string,
    queue: WorkQueue,
    props: Pick<lambda.EventSourceMappingProps, 'batchSize' | 'maxBatchingWindow' | 'maxConcurrency'>,
  ): void {
    this.allow(['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'], queue.queueArn);
    new lambda.EventSourceMapping(this.node.scope!, id, {
      target: this,
      eventSourceArn: queue.queueArn,
      reportBatchItemFailures: true,
      ...props,
    });
  }
}

/** Lambda advises against less than the queues ask for: it throttles the rest, and a message that is throttled five times is dead. */
function reserve({ settings }: AutoLabel, name: FunctionName, least: number): { reservedConcurrentExecutions?: number } {
  const reserved = settings.reservedConcurrency[name];
  if (reserved === undefined) return {};
  if (reserved < least) {
    throw new Error(`Setting reservedConcurrency gives ${name} ${reserved}, but its queues ask for ${least} at once.`);
  }
  return { reservedConcurrentExecutions: reserved };
}
