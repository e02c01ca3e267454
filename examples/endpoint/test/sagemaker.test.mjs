import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { ModelFailure, Overloaded, UnknownEndpoint, containerReply, runtimeReply } from '../sagemaker.mjs';

test('an unknown endpoint is a validation error', () => {
    assert.deepEqual(runtimeReply(new UnknownEndpoint('nope'), 'nope'), {
        status: 400,
        headers: { 'x-amzn-errortype': 'ValidationError' },
        body: { message: 'Endpoint nope of account 000000000000 not found.' },
    });
});

test("the model's own refusal is wrapped in a model error", () => {
    assert.deepEqual(runtimeReply(new ModelFailure(400, 'The picture cannot be decoded.'), 'autolabel-yolo'), {
        status: 424,
        headers: { 'x-amzn-errortype': 'ModelError' },
        body: {
            message: 'Received client error (400) from primary with message "The picture cannot be decoded."',
            OriginalStatusCode: 400,
            OriginalMessage: 'The picture cannot be decoded.',
            LogStreamArn: 'arn:aws:logs:us-east-1:000000000000:log-group:/aws/sagemaker/Endpoints/autolabel-yolo',
        },
    });
});

test('a full line is a service that is unavailable', () => {
    const { status, headers } = runtimeReply(new Overloaded('The model is busy. Try again.'), 'autolabel-yolo');
    assert.deepEqual([status, headers['x-amzn-errortype']], [503, 'ServiceUnavailable']);
});

test('inside the container the status stands by itself', () => {
    assert.deepEqual(containerReply(new ModelFailure(400, 'The request is not JSON.')), {
        status: 400,
        headers: {},
        body: { error: 'The request is not JSON.' },
    });
});

test('an unexpected error is logged and not shown', () => {
    const log = mock.method(console, 'error', () => {});
    const reply = containerReply(new Error('https://signed-address'));
    assert.deepEqual([reply.status, reply.body], [500, { error: 'The model failed.' }]);
    assert.equal(log.mock.callCount(), 1);
});
