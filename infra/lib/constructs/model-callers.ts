import { Lazy, Stack } from 'aws-cdk-lib';
import type { Wildcard } from '../acknowledge.ts';
import type { AutoLabel } from '../autolabel.ts';
import type { RustFunction } from './rust-function.ts';

/** The functions that call models: at SageMaker endpoints, by roles of tenants, with the credentials of providers. */
export class ModelCallers {
  private readonly app: AutoLabel;
  private readonly callers: RustFunction[] = [];

  constructor(app: AutoLabel) {
    this.app = app;
  }

  /** Lets `caller` call models, and name the roles of all callers: a tenant's role has to trust them. */
  grantCallerRoles(caller: RustFunction): void {
    this.callers.push(caller);
    caller.addEnvironment('CALLER_ROLES', Lazy.string({ produce: () => this.roles() }));
    caller.allow(['kms:Decrypt'], this.app.secretsKey.keyArn);
    caller.allow(['sagemaker:InvokeEndpoint'], this.sagemaker('endpoint'), this.sagemaker('inference-component'));
    caller.allow(['sts:AssumeRole'], {
      // Of any account: a provider's role is its tenant's.
      arn: Stack.of(this.app).formatArn({ service: 'iam', region: '', account: '*', resource: 'role', resourceName: '*' }),
      reason: "Providers name their role at run time; the role's trust policy decides.",
    });
  }

  private roles(): string {
    return Stack.of(this.app).toJsonString(this.callers.map(({ role }) => role!.roleArn));
  }

  /** Of this account, in any region: a provider names its own. An inference component is a resource beside its endpoint. */
  private sagemaker(resource: string): Wildcard {
    return {
      arn: Stack.of(this.app).formatArn({ service: 'sagemaker', region: '*', resource, resourceName: '*' }),
      reason: 'Providers name their SageMaker endpoint at run time.',
    };
  }
}
