import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { Architecture } from '../settings.ts';

export interface RustFunctionProps {
  readonly description: string;
  /** Folder that holds the binary, named `bootstrap`. */
  readonly binary: string;
  readonly architecture: Architecture;
  readonly timeoutSeconds: number;
  readonly memoryMiB: number;
  readonly environment: Record<string, string>;
  /** Of the account's concurrency; none if it is not given. */
  readonly reservedConcurrency?: number | undefined;
  /** It sends messages to a queue that invokes it, and sees to it that they end. */
  readonly isRecursive: boolean;
}

/**
 * One Lambda function from one prebuilt binary, with a log group and a role of its own.
 *
 * The role may write that log group and nothing else. It is made here because the one that CDK would make carries a managed policy
 * that may write every log group of the account.
 */
export class RustFunction extends lambda.Function {
  constructor(scope: Construct, id: string, props: RustFunctionProps) {
    const logGroup = new logs.LogGroup(scope, `${id}Logs`, {
      retention: logs.RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new iam.Role(scope, `${id}Role`, { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') });
    super(scope, id, {
      description: props.description,
      runtime: lambda.Runtime.PROVIDED_AL2023,
      architecture: props.architecture === 'arm64' ? lambda.Architecture.ARM_64 : lambda.Architecture.X86_64,
      handler: 'bootstrap',
      code: lambda.Code.fromAsset(props.binary),
      timeout: Duration.seconds(props.timeoutSeconds),
      memorySize: props.memoryMiB,
      environment: props.environment,
      recursiveLoop: props.isRecursive ? lambda.RecursiveLoop.ALLOW : lambda.RecursiveLoop.TERMINATE,
      ...(props.reservedConcurrency === undefined ? {} : { reservedConcurrentExecutions: props.reservedConcurrency }),
      role,
      logGroup,
    });
    logGroup.grantWrite(role);
  }

  /** Allows exactly `actions` on exactly `resources`. CDK's own grant methods add wildcards and actions that we do not use. */
  allow(actions: string[], ...resources: string[]): void {
    this.addToRolePolicy(new iam.PolicyStatement({ actions, resources }));
  }
}
