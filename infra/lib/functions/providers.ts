import { HttpMethod } from 'aws-cdk-lib/aws-apigatewayv2';
import type { AutoLabel } from '../autolabel.ts';
import { ApiFunction } from '../constructs/api-function.ts';

export class Providers extends ApiFunction {
  constructor(app: AutoLabel) {
    super(app, 'providers', {
      description: 'Keeps and tests inference providers',
      environment: { BUCKET_NAME: app.bucket.bucketName, SECRETS_KEY_ID: app.secretsKey.keyId },
    });
    this.route(HttpMethod.ANY, '/api/v1/inference-providers');

    this.allow(['dynamodb:GetItem', 'dynamodb:Query'], app.table.tableArn);
    this.allow(['dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'], app.table.tableArn);
    this.allow(['kms:Encrypt'], app.secretsKey.keyArn);
    // The picture that a test of a provider shows to its model.
    this.allow(['s3:GetObject', 's3:PutObject'], app.bucket.arnForObjects('probes/picture.jpg'));
    app.modelCallers.grantCallerRoles(this);
  }
}
