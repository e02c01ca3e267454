/** Findings of cdk-nag that are accepted: each on the one construct it is about, with its reason. */

import { Stack, Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/** Resources that a right names by a wildcard, and the reason for it. */
export interface Wildcard {
  readonly arn: string;
  readonly reason: string;
}

export function acknowledge(on: IConstruct, rule: string, reason: string): void {
  Validations.of(on).acknowledge({ id: `AwsSolutions-${rule}`, reason });
}

/** Accepts that the role or policy `holder` names `arn`, which ends in a wildcard, and no other wildcard. */
export function acknowledgeWildcard(holder: IConstruct, { arn, reason }: Wildcard): void {
  acknowledge(holder, `IAM5[Resource::${asFound(Stack.of(holder).resolve(arn))}]`, reason);
}

/**
 * The form that cdk-nag gives an ARN in a finding: `{"Fn::Join": ["", [{"Fn::GetAtt": ["Bucket", "Arn"]}, "/jobs/*"]]}` is
 * `<Bucket.Arn>/jobs/*`, and `{"Fn::Sub": "assets-${AWS::Region}"}` is `assets-<AWS::Region>`.
 */
function asFound(value: unknown): string {
  if (typeof value === 'string') return value;
  const {
    'Fn::Join': join,
    'Fn::Sub': text,
    'Fn::GetAtt': attribute,
    Ref: ref,
  } = value as Partial<{ 'Fn::Join': [string, unknown[]]; 'Fn::Sub': string; 'Fn::GetAtt': string[]; Ref: string }>;
  if (join) return join[1].map(asFound).join(join[0]);
  if (text) return text.replaceAll(/\$\{(.*?)\}/g, '<$1>');
  return `<${attribute ? attribute.join('.') : ref}>`;
}
