import { Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { Wildcard } from '../acknowledge.ts';
import type { Settings } from '../settings.ts';
import type { RustFunction } from './rust-function.ts';

/**
 * The buckets of the setting `sourceBuckets`, and no others. Each role may read all of them: the functions check which tenant may
 * name which bucket.
 */
export class SourceBuckets {
  readonly names: readonly string[];
  readonly arns: readonly string[];
  private readonly objects: readonly Wildcard[];
  /** Which tenants may name which bucket, as the functions read it. */
  readonly setting: string;

  constructor(scope: Construct, buckets: Settings['sourceBuckets']) {
    this.setting = JSON.stringify(buckets);
    this.names = Object.keys(buckets);
    this.arns = this.names.map((resource) => Stack.of(scope).formatArn({ service: 's3', region: '', account: '', resource }));
    const reason = 'The deployment opens the bucket to tenants, who name its objects at run time.';
    this.objects = this.arns.map((arn) => ({ arn: `${arn}/*`, reason }));
  }

  allowReading(reader: RustFunction): void {
    reader.addEnvironment('SOURCE_BUCKETS', this.setting);
    if (this.objects.length > 0) reader.allow(['s3:GetObject'], ...this.objects);
  }
}
