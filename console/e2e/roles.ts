/** Roles in the account of the local stack, by the AWS command line: what an administrator of AWS does beside the page. */
import { execFileSync } from 'node:child_process';

const AWS = new URL('../../.venv/bin/aws', import.meta.url).pathname;

function iam(action: string, ...options: string[]): string {
  return execFileSync(AWS, ['iam', action, '--output', 'text', ...options], { encoding: 'utf8' }).trim();
}

function policy(...statements: object[]): string {
  return JSON.stringify({ Version: '2012-10-17', Statement: statements });
}

/** A role that may call endpoints, and that no one may assume yet; gives its ARN. */
export function createRole(name: string): string {
  const closed = policy({ Effect: 'Deny', Action: 'sts:AssumeRole', Principal: { AWS: '*' } });
  const may = policy({ Effect: 'Allow', Action: 'sagemaker:InvokeEndpoint', Resource: '*' });
  const arn = iam('create-role', '--role-name', name, '--assume-role-policy-document', closed, '--query', 'Role.Arn');
  iam('put-role-policy', '--role-name', name, '--policy-name', 'models', '--policy-document', may);
  return arn;
}

/** Pastes a trust policy into a role. */
export function trust(name: string, trustPolicy: string): void {
  iam('update-assume-role-policy', '--role-name', name, '--policy-document', trustPolicy);
}

export function deleteRole(name: string): void {
  iam('delete-role-policy', '--role-name', name, '--policy-name', 'models');
  iam('delete-role', '--role-name', name);
}
