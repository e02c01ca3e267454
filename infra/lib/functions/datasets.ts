import { HttpMethod } from 'aws-cdk-lib/aws-apigatewayv2';
import type { AutoLabel } from '../autolabel.ts';
import { ApiFunction } from '../constructs/api-function.ts';

export class Datasets extends ApiFunction {
  constructor(app: AutoLabel) {
    super(app, 'datasets', {
      description: 'Datasets, and the folders that clients upload',
      environment: { BUCKET_NAME: app.bucket.bucketName, UPLOAD_QUOTA_GIB: String(app.settings.uploadQuotaGib) },
    });
    // The items of a dataset are routes of `catalog`.
    this.route(HttpMethod.ANY, '/api/v1/datasets');

    this.allow(['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'], app.table.tableArn);
    this.allow(['dynamodb:PutItem', 'dynamodb:UpdateItem'], app.table.tableArn);
    this.allow(['dynamodb:Query'], app.table.indexArn('listing'));
    // A signed form can do what its signer may: uploads of items, nothing else.
    this.allow(['s3:PutObject'], app.bucket.items);
    app.bucket.allowListing(this, 'projects/*');
  }
}
