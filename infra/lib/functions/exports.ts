import { HttpMethod } from 'aws-cdk-lib/aws-apigatewayv2';
import type { AutoLabel } from '../autolabel.ts';
import { ApiFunction } from '../constructs/api-function.ts';

export class Exports extends ApiFunction {
  constructor(app: AutoLabel) {
    super(app, 'exports', {
      description: 'Creates, shows and deletes exports, creates and shows imports',
      environment: {
        BUCKET_NAME: app.bucket.bucketName,
        EXPORT_DAYS: String(app.settings.exportDays),
        SOURCE_BUCKETS: app.sourceBuckets.setting,
      },
    });
    this.route(HttpMethod.ANY, '/api/v1/exports');
    this.route(HttpMethod.ANY, '/api/v1/projects/{project}/imports');

    this.allow(['dynamodb:GetItem', 'dynamodb:Query'], app.table.tableArn);
    this.allow(['dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'], app.table.tableArn);
    // A signed URL can do what its signer may: downloads of exports and reports, uploads of imports, nothing else.
    this.allow(['s3:GetObject', 's3:DeleteObject'], app.bucket.exports);
    this.allow(['s3:PutObject'], app.bucket.importFiles);
    this.allow(['s3:GetObject'], app.bucket.importReports);
    app.bucket.allowListing(this, 'exports/*');
    this.allowSending(app.exportQueue, 'EXPORT_QUEUE_URL');
    this.allowSending(app.importQueue, 'IMPORT_QUEUE_URL');
  }
}
