import { HttpMethod } from 'aws-cdk-lib/aws-apigatewayv2';
import type { AutoLabel } from '../autolabel.ts';
import { ApiFunction } from '../constructs/api-function.ts';

export class Catalog extends ApiFunction {
  constructor(app: AutoLabel) {
    super(app, 'catalog', {
      description: 'Projects, items, results; answers unknown paths',
      environment: { BUCKET_NAME: app.bucket.bucketName },
    });
    this.routeRest();
    this.route(HttpMethod.GET, '/api/v1/datasets/{owner}/{slug}/items');

    this.allow(['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'], app.table.tableArn);
    this.allow(['dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'], app.table.tableArn);
    this.allow(['dynamodb:Query'], app.table.indexArn('listing'));
    // A signed URL can do what its signer may: uploads and downloads of items, nothing else.
    this.allow(['s3:GetObject', 's3:PutObject'], app.bucket.items);
    this.allow(['s3:GetObject'], app.bucket.drafts);
    this.allow(['s3:GetObject', 's3:PutObject'], app.bucket.corrections);
    this.allowSending(app.webhookQueue, 'WEBHOOK_QUEUE_URL');
    app.sourceBuckets.allowReading(this);
  }
}
