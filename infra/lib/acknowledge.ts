/** Findings of cdk-nag that are accepted: each on the one construct it is about, with its reason. */

import { Stack, Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

export function acknowledge(on: IConstruct, rule: string, reason: string): void {
  Validations.of(on).acknowledge({ id: `AwsSolutions-${rule}`, reason });
}

/** Accepts that `role` may use `arn`, which ends in a wildcard, and no other wildcard. */
export function acknowledgeWildcard(role: IConstruct, arn: string, reason: string): void {
  acknowledge(role, `IAM5[Resource::${asFound(Stack.of(role).resolve(arn))}]`, reason);
}

/** The form that cdk-nag gives an ARN in a finding: `{"Fn::Join": ["", [{"Fn::GetAtt": ["Bucket", "Arn"]}, "/jobs/*"]]}` is `<Bucket.Arn>/jobs/*`. */
function asFound(value: unknown): string {
  if (typeof value === 'string') return value;
  const {
    'Fn::Join': join,
    'Fn::GetAtt': attribute,
    Ref: ref,
  } = value as Partial<{ 'Fn::Join': [string, unknown[]]; 'Fn::GetAtt': string[]; Ref: string }>;
  if (join) return join[1].map(asFound).join(join[0]);
  return `<${attribute ? attribute.join('.') : ref}>`;
}
