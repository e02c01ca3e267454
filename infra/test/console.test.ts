import { Match } from 'aws-cdk-lib/assertions';
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { CERTIFICATE, Deployment, FUNCTIONS, type Json, PAGE_FILES, REFERENCE_FILES, WEB_ACL } from './deployment.ts';
import { statementsOf } from './rights.ts';

const deployment = new Deployment();
const { template, stack, autoLabel } = deployment;
const resources: Record<string, Json> = template.toJSON().Resources;
const config = distributionOf(deployment);
const HEADERS: Record<string, string> = JSON.parse(
  fs.readFileSync(new URL('../../console/headers.json', import.meta.url), 'utf8'),
);

/** Of CloudFront itself, named by ids that are the same in all accounts. */
const CACHING_OPTIMIZED = '658327ea-f89d-4fab-a63d-7e88639e58f6';
const CACHING_DISABLED = '4135ea2d-6df8-44a3-9df3-4b5a84be39ad';
const ALL_VIEWER_EXCEPT_HOST_HEADER = 'b689b0a8-53d0-40ab-baf2-68738e2966ac';

test('the page is read from a private bucket, by CloudFront alone', () => {
  const { S3OriginConfig, OriginAccessControlId, DomainName } = originOf(config.DefaultCacheBehavior);
  const [bucketId] = DomainName['Fn::GetAtt'];

  assert.deepEqual(S3OriginConfig, { OriginAccessIdentity: '' });
  assert.equal(resources[OriginAccessControlId['Fn::GetAtt'][0]].Properties.OriginAccessControlConfig.SigningBehavior, 'always');
  template.hasResource('AWS::S3::Bucket', {
    DeletionPolicy: 'Retain',
    Properties: {
      BucketEncryption: Match.anyValue(),
      OwnershipControls: { Rules: [{ ObjectOwnership: 'BucketOwnerEnforced' }] },
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
      CorsConfiguration: Match.absent(),
    },
  });
  const { Statement } = Object.values(template.findResources('AWS::S3::BucketPolicy')).find(
    ({ Properties }) => Properties.Bucket.Ref === bucketId,
  )!.Properties.PolicyDocument;
  const [allowed] = Statement.filter(({ Effect }: Json) => Effect === 'Allow');
  assert.deepEqual([allowed.Action, allowed.Principal], ['s3:GetObject', { Service: 'cloudfront.amazonaws.com' }]);
  assert.match(JSON.stringify(allowed.Condition), /"AWS:SourceArn":.*:distribution\//);
  assert.equal(Statement.filter(({ Effect }: Json) => Effect === 'Allow').length, 1);
});

test('a screen is the page, and an error of the API stays an error', () => {
  for (const behavior of [config.DefaultCacheBehavior, behaviorOf('/reference/*')]) {
    assert.match(codeOf(behavior), /'\/index\.html'/);
    assert.equal(behavior.ViewerProtocolPolicy, 'redirect-to-https');
    assert.equal(behavior.CachePolicyId, CACHING_OPTIMIZED);
    assert.equal(behavior.OriginRequestPolicyId, undefined);
  }
  assert.equal(config.DefaultRootObject, 'index.html');
  assert.equal(config.CustomErrorResponses, undefined);
  assert.equal(config.HttpVersion, 'http2and3');
});

test('a call of the API is passed on whole, and never answered from a cache', () => {
  const behavior = behaviorOf('/api/*');
  const { DomainName, OriginPath, CustomOriginConfig } = originOf(behavior);

  assert.equal(behavior.CachePolicyId, CACHING_DISABLED);
  assert.equal(behavior.OriginRequestPolicyId, ALL_VIEWER_EXCEPT_HOST_HEADER);
  assert.equal(behavior.ViewerProtocolPolicy, 'https-only');
  assert.deepEqual(behavior.AllowedMethods, ['GET', 'HEAD', 'OPTIONS', 'PUT', 'PATCH', 'POST', 'DELETE']);
  assert.match(codeOf(behavior), /endsWith\('\/'\)/);
  assert.equal(behavior.ResponseHeadersPolicyId, undefined);
  assert.match(JSON.stringify(DomainName), /{"Ref":"\w*Api\w+"},"\.execute-api\.",{"Ref":"AWS::Region"},"\."/);
  assert.equal(OriginPath, undefined);
  assert.equal(CustomOriginConfig.OriginProtocolPolicy, 'https-only');
  assert.deepEqual(CustomOriginConfig.OriginSSLProtocols, ['TLSv1.2']);

  const staged = distributionOf(new Deployment({ stageName: 'prod' }));
  assert.deepEqual(
    staged.Origins.map((origin: Json) => origin.OriginPath),
    [undefined, '/prod'],
  );
});

test('the headers of the page are those of headers.json, with the buckets and the given origins as those of pictures', () => {
  const given = new Deployment({
    sourceBuckets: { pictures: ['acme'], 'my.scans': ['acme'] },
    pictureOrigins: 'https://pictures.example.com,https://cdn.example.com',
  });
  const { DefaultCacheBehavior } = distributionOf(given);
  const sent = headersOf(given, DefaultCacheBehavior);
  const own = /connect-src 'self' (https:\/\/autolabel-[0-9a-f]{8}-GUID\.s3\.REGION\.SUFFIX)/.exec(
    sent['Content-Security-Policy']!,
  )![1];
  const origins = [
    own,
    'https://pictures.s3.REGION.SUFFIX',
    'https://s3.REGION.SUFFIX',
    'https://pictures.example.com',
    'https://cdn.example.com',
  ].join(' ');

  assert.deepEqual(sent, filled(HEADERS, origins));
  assert.deepEqual(headersOf(deployment, behaviorOf('/reference/*')), {
    ...HEADERS,
    'Content-Security-Policy': "frame-ancestors 'none'",
  });
});

test('a content policy that CloudFront takes is one', () => {
  const origins = Array.from({ length: 8 }, (_, at) => `https://pictures-${at}.example.com`);
  const sourceBuckets = Object.fromEntries(Array.from({ length: 5 }, (_, at) => [`pictures-${at}`, ['acme']]));
  const { DefaultCacheBehavior } = distributionOf(new Deployment({ sourceBuckets, pictureOrigins: origins }));

  assert.ok(DefaultCacheBehavior.ResponseHeadersPolicyId);
});

test('the bucket of the items has the name that the headers give it', () => {
  const { BucketName } = resources[stack.getLogicalId(autoLabel.bucket.node.defaultChild as never)].Properties;

  assert.match(written(BucketName), /^autolabel-[0-9a-f]{8}-GUID$/);
  assert.ok(written(BucketName).replace('GUID', '0'.repeat(36)).length <= 63);
  assert.ok(headersOf(deployment, config.DefaultCacheBehavior)['Content-Security-Policy']!.includes(written(BucketName)));
});

test('each file is copied with its type, named files are asked for at each use, the page comes last', () => {
  const calls = callsOf('copyObject');
  const copied = Object.fromEntries(calls.map(({ call }) => [call.parameters.Key, call.parameters]));

  assert.deepEqual(Object.keys(copied).sort(), [...PAGE_FILES, ...REFERENCE_FILES.map((name) => `reference/${name}`)].sort());
  assert.equal(copied['assets/index-E2.js'].ContentType, 'text/javascript; charset=utf-8');
  assert.equal(copied['icon.svg'].ContentType, 'image/svg+xml');
  for (const [key, { CacheControl, MetadataDirective, CopySource }] of Object.entries<Json>(copied)) {
    assert.equal(CacheControl, key.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache', key);
    assert.equal(MetadataDirective, 'REPLACE');
    assert.match(CopySource, /^cdk-hnb659fds-assets-.*\/[0-9a-f]{64}\.(css|js|svg|html|json)$/);
  }
  const page = calls.find(({ call }) => call.parameters.Key === 'index.html')!;
  for (const { id } of calls) if (id !== page.id) assert.ok(page.dependsOn.includes(id), id);
});

test('what has no digest in its name is invalidated when the page is there', () => {
  const [{ call, dependsOn }] = callsOf('createInvalidation') as [Called];
  const page = callsOf('copyObject').find(({ call }) => call.parameters.Key === 'index.html')!;

  assert.deepEqual(call.parameters.InvalidationBatch.Paths, {
    Quantity: 4,
    Items: ['/icon.svg', '/index.html', '/reference/index.html', '/reference/openapi.json'],
  });
  assert.ok(dependsOn.includes(page.id));
});

test('files that go back to what they were are invalidated again', () => {
  const folders = ['A', 'B', 'A'].map((content) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'page-'));
    fs.writeFileSync(path.join(folder, 'index.html'), content);
    return folder;
  });
  const deployed = folders.map((consoleFiles) => {
    const { template } = new Deployment({ consoleFiles, referenceFiles: '' });
    const all = Object.values<Json>(template.findResources('Custom::AWS')).map(({ Properties }) => Properties);
    return all.find(({ Update }) => written(Update).includes('createInvalidation'))!;
  });
  folders.forEach((folder) => fs.rmSync(folder, { recursive: true }));
  const [first, second, third] = deployed as [Json, Json, Json];
  const { parameters, physicalResourceId } = JSON.parse(written(first.Update));

  // Another property is another call; its reference is the id of the invalidation before, which no other one has.
  assert.notEqual(first.Files, second.Files);
  assert.equal(first.Files, third.Files);
  assert.equal(parameters.InvalidationBatch.CallerReference, 'PHYSICAL:RESOURCEID:');
  assert.deepEqual(physicalResourceId, { responsePath: 'Invalidation.Id' });
  assert.equal(JSON.parse(written(first.Create)).parameters.InvalidationBatch.CallerReference, first.Files);
});

test('the function that copies may read assets, write files of the page, invalidate them, write its log, and nothing else', () => {
  const ours = FUNCTIONS.map((name) => stack.getLogicalId(autoLabel.functions[name].node.defaultChild as never));
  const [copier] = Object.entries(template.findResources('AWS::Lambda::Function')).filter(([id]) => !ours.includes(id));
  const role = copier![1].Properties.Role['Fn::GetAtt'][0];
  const rights = statementsOf(deployment, role).map(({ Action, Resource }) => [[Action].flat().join(), JSON.stringify(Resource)]);

  assert.deepEqual(rights.map(([action]) => action).sort(), [
    'cloudfront:CreateInvalidation',
    'logs:CreateLogStream,logs:PutLogEvents',
    's3:GetObject',
    's3:PutObject',
  ]);
  const of = Object.fromEntries(rights);
  assert.match(of['s3:GetObject'], /:s3:::.*cdk-hnb659fds-assets-.*\/\*"/);
  assert.match(of['s3:PutObject'], /"Fn::GetAtt":\["\w*ConsoleBucket\w+","Arn"\]},"\/\*"/);
  assert.match(of['cloudfront:CreateInvalidation'], /:distribution\/",{"Ref":"\w*Distribution\w+"}\]\]}$/);
  assert.equal(resources[role].Properties.ManagedPolicyArns, undefined);
});

test('a domain, a certificate, a web ACL, a price class and a bucket for logs are those of the settings', () => {
  const given = new Deployment({
    consoleDomain: 'labels.example.com',
    consoleCertificateArn: CERTIFICATE,
    webAclArn: WEB_ACL,
    consolePriceClass: 'all',
    consoleLogBucket: 'our-logs',
  });
  const { Aliases, ViewerCertificate, WebACLId, PriceClass, Logging } = distributionOf(given);

  assert.deepEqual(Aliases, ['labels.example.com']);
  assert.deepEqual(ViewerCertificate, {
    AcmCertificateArn: CERTIFICATE,
    MinimumProtocolVersion: 'TLSv1.2_2021',
    SslSupportMethod: 'sni-only',
  });
  assert.equal(WebACLId, WEB_ACL);
  assert.equal(PriceClass, 'PriceClass_All');
  assert.match(JSON.stringify(Logging.Bucket), /our-logs\.s3\./);
  assert.equal(Logging.Prefix, 'console/');
  assert.equal(given.template.toJSON().Outputs.ConsoleUrl.Value, 'https://labels.example.com/');

  assert.equal(config.PriceClass, 'PriceClass_100');
  assert.deepEqual([config.Aliases, config.WebACLId, config.Logging], [undefined, undefined, undefined]);
});

test('names that an account has once differ by region', () => {
  for (const [type, config] of [
    ['AWS::CloudFront::ResponseHeadersPolicy', 'ResponseHeadersPolicyConfig'],
    ['AWS::CloudFront::OriginAccessControl', 'OriginAccessControlConfig'],
  ] as const) {
    for (const { Properties } of Object.values(template.findResources(type))) {
      const { Name } = Properties[config];
      assert.match(JSON.stringify(Name), /{"Ref":"AWS::Region"}/);
      assert.ok(written(Name).replace('REGION', 'ap-southeast-2').length <= 64);
    }
  }
});

test('without the page there is nothing of it; without the reference, the page alone', () => {
  const off = new Deployment({ console: 'off' });
  const types = new Set(Object.values<Json>(off.template.toJSON().Resources).map(({ Type }) => Type));

  assert.ok(![...types].some((type) => /CloudFront|Custom/.test(type)));
  assert.equal(Object.keys(off.template.findResources('AWS::Lambda::Function')).length, FUNCTIONS.length);
  assert.equal(off.template.toJSON().Outputs.ConsoleUrl, undefined);
  assert.equal(
    Object.keys(new Deployment({ referenceFiles: '' }).template.findResources('Custom::AWS')).length,
    PAGE_FILES.length + 1,
  );
});

interface Called {
  readonly id: string;
  readonly call: Json;
  readonly dependsOn: readonly string[];
}

/** The calls of an action that the deployment makes. */
function callsOf(action: string): Called[] {
  return Object.entries(template.findResources('Custom::AWS'))
    .map(([id, { Properties, DependsOn = [] }]) => {
      if (Properties.Files === undefined) {
        assert.equal(JSON.stringify(Properties.Create), JSON.stringify(Properties.Update));
      }
      assert.equal(Properties.Delete, undefined);
      return { id, call: JSON.parse(written(Properties.Update)), dependsOn: [DependsOn].flat() };
    })
    .filter(({ call }) => call.action === action);
}

function distributionOf(deployment: Deployment): Json {
  return deployment.only('AWS::CloudFront::Distribution').DistributionConfig;
}

function behaviorOf(pattern: string): Json {
  return config.CacheBehaviors.find(({ PathPattern }: Json) => PathPattern === pattern);
}

function originOf({ TargetOriginId }: Json): Json {
  return config.Origins.find(({ Id }: Json) => Id === TargetOriginId);
}

/** The code of the one function of a behavior. */
function codeOf({ FunctionAssociations }: Json): string {
  assert.deepEqual(
    FunctionAssociations.map(({ EventType }: Json) => EventType),
    ['viewer-request'],
  );
  const { Properties } = resources[FunctionAssociations[0].FunctionARN['Fn::GetAtt'][0]];
  assert.equal(Properties.AutoPublish, true);
  assert.equal(Properties.FunctionConfig.Runtime, 'cloudfront-js-2.0');
  return Properties.FunctionCode;
}

/** The headers of a behavior's policy, as a browser gets them. */
function headersOf({ template }: Deployment, { ResponseHeadersPolicyId }: Json): Record<string, string> {
  const { SecurityHeadersConfig: security, CustomHeadersConfig: custom } =
    template.toJSON().Resources[ResponseHeadersPolicyId.Ref].Properties.ResponseHeadersPolicyConfig;
  const { ContentSecurityPolicy, StrictTransportSecurity: transport, ContentTypeOptions, ReferrerPolicy } = security;
  for (const field of [...Object.values<Json>(security), ...custom.Items]) assert.equal(field.Override, true);
  return {
    ...(ContentSecurityPolicy ? { 'Content-Security-Policy': written(ContentSecurityPolicy.ContentSecurityPolicy) } : {}),
    'Strict-Transport-Security': `max-age=${transport.AccessControlMaxAgeSec}${transport.IncludeSubdomains ? '; includeSubDomains' : ''}`,
    ...(ContentTypeOptions ? { 'X-Content-Type-Options': 'nosniff' } : {}),
    'Referrer-Policy': ReferrerPolicy.ReferrerPolicy,
    ...Object.fromEntries(custom.Items.map(({ Header, Value }: Json) => [Header, Value])),
  };
}

function filled(headers: Record<string, string>, pictures: string): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.replaceAll('{pictures}', pictures)]));
}

/** A text of the template, with a word for what is known at the deployment. */
function written(value: Json): string {
  if (typeof value === 'string') return value;
  const { 'Fn::Join': join, 'Fn::Sub': sub, 'Fn::Select': select, 'Fn::GetAtt': attribute, Ref: ref } = value;
  if (join) return join[1].map(written).join(join[0]);
  if (sub) return sub;
  if (select) return 'GUID';
  if (attribute) return attribute.join('.');
  return { 'AWS::Region': 'REGION', 'AWS::URLSuffix': 'SUFFIX' }[ref as string] ?? ref;
}
