import { type CfnResource, RemovalPolicy } from 'aws-cdk-lib';
import type * as cloudfront from 'aws-cdk-lib/aws-cloudfront';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import {
  AwsCustomResource,
  type AwsSdkCall,
  PhysicalResourceId,
  PhysicalResourceIdReference,
} from 'aws-cdk-lib/custom-resources';
import { Construct } from 'constructs';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { acknowledgeWildcard } from '../acknowledge.ts';

const INDEX = 'index.html';
/** Names of files below it change with their content. */
const HASHED = 'assets/';

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
};

/** Absolute paths of files by their keys in a bucket. */
export type Files = ReadonlyMap<string, string>;

/** The files below a folder; their keys begin with `prefix`. */
export function filesOf(folder: string, prefix = ''): Files {
  const names = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  const files = names.filter((name) => fs.statSync(path.join(folder, name)).isFile());
  return new Map(files.map((name) => [`${prefix}${name}`, path.join(folder, name)]));
}

/** Files whose names have no digest, each with its asset. */
type KeptFiles = readonly (readonly [string, Asset])[];

export interface ConsoleFilesProps {
  readonly bucket: s3.IBucket;
  readonly distribution: cloudfront.IDistribution;
  readonly files: Files;
  readonly logDays: number;
}

/**
 * Copies the files of the page into its bucket. Each is an asset, which the deployment uploads; a function of the CDK then makes one
 * call of S3 for each that has changed (decision 0042). `index.html` comes last, when all that it names is there. What has gone
 * stays: a tab that is open may ask for it.
 */
export class ConsoleFiles extends Construct {
  private readonly role: iam.Role;
  private readonly logGroup: logs.LogGroup;

  constructor(scope: Construct, id: string, { bucket, distribution, files, logDays }: ConsoleFilesProps) {
    super(scope, id);
    this.role = new iam.Role(this, 'Role', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') });
    this.logGroup = new logs.LogGroup(this, 'Logs', {
      retention: logDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.logGroup.grantWrite(this.role);
    const assets = [...files].map(([key, file]) => [key, new Asset(this, idOf(key), { path: file })] as const);
    const copies = new Map(assets.map(([key, asset]) => [key, this.call(`Copy-${idOf(key)}`, copyOf(bucket, key, asset))]));
    const index = copies.get(INDEX)!;
    const others = [...copies.values()].filter((copy) => copy !== index);
    index.node.addDependency(...others);
    const kept = assets.filter(([key]) => !key.startsWith(HASHED));
    this.invalidate(distribution, kept).node.addDependency(index);
    this.allow(index.grantPrincipal, bucket, distribution, assets[0]![1].bucket);
  }

  private call(id: string, onUpdate: AwsSdkCall): AwsCustomResource {
    const { role, logGroup } = this;
    return new AwsCustomResource(this, id, { onUpdate, role, logGroup, installLatestAwsSdk: false });
  }

  /**
   * CloudFront makes one invalidation for one reference of its caller, whenever that is given. The files may go back to what they were,
   * so the reference is not of the files: it is the id of the invalidation before.
   */
  private invalidate(distribution: cloudfront.IDistribution, kept: KeptFiles): AwsCustomResource {
    const digest = digestOf(kept);
    const onCreate = invalidationOf(distribution, kept, digest);
    const onUpdate = invalidationOf(distribution, kept, new PhysicalResourceIdReference());
    const { role, logGroup } = this;
    const call = new AwsCustomResource(this, 'Invalidate', { onCreate, onUpdate, role, logGroup, installLatestAwsSdk: false });
    // The function does not read it. It makes a deployment with other files another call.
    (call.node.findChild('Resource').node.defaultChild as CfnResource).addPropertyOverride('Files', digest);
    return call;
  }

  /** `caller`: the role of the function. It is not ours if the stack has such a function already. */
  private allow(caller: iam.IPrincipal, bucket: s3.IBucket, distribution: cloudfront.IDistribution, uploaded: s3.IBucket): void {
    const rights = [
      { action: 's3:GetObject', arn: uploaded.arnForObjects('*'), reason: 'The deployment names its assets by their digests.' },
      {
        action: 's3:PutObject',
        arn: bucket.arnForObjects('*'),
        reason: 'The bucket holds the files of the page and nothing else.',
      },
    ];
    for (const { action, arn, reason } of rights) {
      caller.addToPrincipalPolicy(new iam.PolicyStatement({ actions: [action], resources: [arn] }));
      acknowledgeWildcard(this.role, { arn, reason });
    }
    const resources = [distribution.distributionArn];
    caller.addToPrincipalPolicy(new iam.PolicyStatement({ actions: ['cloudfront:CreateInvalidation'], resources }));
  }
}

function copyOf(bucket: s3.IBucket, key: string, asset: Asset): AwsSdkCall {
  const contentType = TYPES[path.extname(key)];
  if (contentType === undefined)
    throw new Error(`${key}: a file of the page must end in one of ${Object.keys(TYPES).join(', ')}.`);
  return {
    service: 'S3',
    action: 'copyObject',
    parameters: {
      Bucket: bucket.bucketName,
      Key: key,
      CopySource: `${asset.s3BucketName}/${asset.s3ObjectKey}`,
      MetadataDirective: 'REPLACE',
      ContentType: contentType,
      // `no-cache` is kept, and asked for at each use; the answer is mostly that nothing has changed.
      CacheControl: key.startsWith(HASHED) ? 'public, max-age=31536000, immutable' : 'no-cache',
    },
    physicalResourceId: PhysicalResourceId.of(key),
  };
}

/** `no-cache` makes it superfluous where it is honored. That CloudFront does so has not been seen, and a wrong page would stay for long. */
function invalidationOf(
  { distributionId }: cloudfront.IDistribution,
  kept: KeptFiles,
  CallerReference: string | PhysicalResourceIdReference,
): AwsSdkCall {
  const Items = kept.map(([key]) => `/${key}`);
  return {
    service: 'CloudFront',
    action: 'createInvalidation',
    parameters: {
      DistributionId: distributionId,
      InvalidationBatch: { CallerReference, Paths: { Quantity: Items.length, Items } },
    },
    physicalResourceId: PhysicalResourceId.fromResponse('Invalidation.Id'),
  };
}

function digestOf(kept: KeptFiles): string {
  return createHash('sha256')
    .update(kept.map(([key, { assetHash }]) => `${key} ${assetHash}`).join())
    .digest('hex');
}

function idOf(key: string): string {
  return key.replaceAll(/[^\w.-]/g, '-');
}
