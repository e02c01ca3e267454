import { Duration, Fn, RemovalPolicy, Stack, Token } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { acknowledge, type Wildcard } from '../acknowledge.ts';

export interface BucketProps {
  readonly bucketName: string;
  /** Pages from there may read items and upload them by signed URLs. */
  readonly pageOrigins: readonly string[];
  /** The time after which the files of exports expire. */
  readonly exportDays: number;
}

/** Items under `projects/`, manifests and raw predictions under `jobs/`, files of exports under `exports/`, those of imports under `imports/`. Private, encrypted, over TLS only. */
export class Bucket extends s3.Bucket {
  readonly items = this.objects('projects/*', 'Items are one object each, under keys made at run time.');
  /** Manifests, lists of batches, raw predictions and large drafts. */
  readonly jobs = this.objects('jobs/*', 'Manifests and raw predictions lie under the uid of their job.');
  readonly drafts = this.objects(
    'jobs/*/drafts/*',
    'Annotations that are too large for the table lie under the uid of their job.',
  );
  readonly corrections = this.objects(
    'corrections/*',
    "A person's annotations that are too large for the table lie under the uid of their item.",
  );
  readonly exports = this.objects('exports/*', 'The files of an export lie under its uid.');
  readonly imports = this.objects('imports/*', 'The objects of an import lie under its uid.');
  readonly importFiles = this.objects('imports/uploads/*', 'The file of an import lies under its uid.');
  readonly importReports = this.objects('imports/reports/*', 'The report of an import lies under its uid.');
  /** What a Distributed Map reads. */
  readonly batchLists = this.objects('jobs/*/batches.json', 'A list of batches lies under the uid of its job.');

  constructor(scope: Construct, id: string, { bucketName, pageOrigins, exportDays }: BucketProps) {
    super(scope, id, {
      bucketName,
      encryption: s3.BucketEncryption.S3_MANAGED,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      lifecycleRules: [
        { abortIncompleteMultipartUploadAfter: Duration.days(1) },
        // A day later than the row: an export that is shown has its files.
        { prefix: 'exports/', expiration: Duration.days(exportDays + 1) },
        { prefix: 'imports/', expiration: Duration.days(exportDays + 1) },
      ],
      removalPolicy: RemovalPolicy.RETAIN,
      ...(pageOrigins.length > 0 ? { cors: [forPages(pageOrigins)] } : {}),
    });
    // Not `eventBridgeEnabled`: that sets the same property through a custom resource with a Lambda function and wide rights.
    (this.node.defaultChild as s3.CfnBucket).notificationConfiguration = {
      eventBridgeConfiguration: { eventBridgeEnabled: true },
    };
    acknowledge(this, 'S1', 'Only these functions and the URLs that they sign reach it; an access log would keep those URLs.');
  }

  /** Allows `caller` to list the keys that begin so. */
  allowListing(caller: iam.IGrantable, prefix: string): void {
    const conditions = { StringLike: { 's3:prefix': prefix } };
    caller.grantPrincipal.addToPrincipalPolicy(
      new iam.PolicyStatement({ actions: ['s3:ListBucket'], resources: [this.bucketArn], conditions }),
    );
  }

  private objects(pattern: string, reason: string): Wildcard {
    return { arn: this.arnForObjects(pattern), reason };
  }
}

/**
 * A name that is known before the bucket is: the page's headers name the bucket, the bucket names the page's origin, and neither could
 * be created first (decision 0042). No other stack has it, nor has this one when it is deleted and deployed again.
 */
export function bucketNameOf(scope: Construct): string {
  const uniqueInStack = scope.node.addr.slice(-8);
  const uniqueOfStack = Fn.select(2, Fn.split('/', Stack.of(scope).stackId));
  return `autolabel-${uniqueInStack}-${uniqueOfStack}`;
}

/** Where signed URLs of a bucket lead. S3's certificate is not for names with dots: these are in the path. */
export function bucketOrigin(scope: Construct, bucketName: string): string {
  const { region, urlSuffix } = Stack.of(scope);
  const isDotted = !Token.isUnresolved(bucketName) && bucketName.includes('.');
  return isDotted ? `https://s3.${region}.${urlSuffix}` : `https://${bucketName}.s3.${region}.${urlSuffix}`;
}

function forPages(allowedOrigins: readonly string[]): s3.CorsRule {
  return {
    allowedOrigins: [...allowedOrigins],
    allowedMethods: [s3.HttpMethods.GET, s3.HttpMethods.HEAD, s3.HttpMethods.PUT],
    allowedHeaders: ['*'],
    exposedHeaders: ['ETag'],
    maxAge: 3600,
  };
}
