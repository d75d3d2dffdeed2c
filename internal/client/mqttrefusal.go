package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/pubsubctl/pubsubctl/internal/mqtt"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// refusedByCode makes the error for a packet that carries a failure, or for a
// DISCONNECT with any reason.
func refusedByCode(op string, packet mqtt.Type, code mqtt.Reason, p mqtt.Properties) *Error {
	e := &Error{Op: op, Condition: fmt.Sprintf("%s 0x%02X", packet, byte(code)), Text: code.String(), Sent: true}
	if said, ok := p.Bytes(mqtt.ReasonString); ok {
		e.Text = clip(e.Text + ": " + string(said))
	}
	v := judgeCode(code)
	e.Category, e.Reason, e.Retryable = v.category, v.reason, v.retryable
	return e
}

// judgeCode is the meaning of a reason code. The app itself uses 0x80, 0x82,
// 0x84, 0x87, 0x9B and 0xA2; the others come from other brokers.
func judgeCode(code mqtt.Reason) verdict {
	switch code {
	case mqtt.NotAuthorized, mqtt.BadUserNameOrPassword, mqtt.BadAuthenticationMethod, mqtt.Banned:
		return verdict{CategoryAuth, "refused", false}
	case mqtt.UnspecifiedError: // the app's word for a stored message that cannot be read
		return verdict{CategoryAPI, "store_read", true}
	case mqtt.PacketTooLarge:
		return verdict{CategoryAPI, "too_large", false}
	case mqtt.UnsupportedProtocolVersion:
		return verdict{CategoryAPI, "protocol", false}
	case mqtt.Success, mqtt.ImplementationError, mqtt.ServerUnavailable, mqtt.ServerBusy, mqtt.ServerShuttingDown,
		mqtt.KeepAliveTimeout, mqtt.ReceiveMaximumExceeded, mqtt.MessageRateTooHigh, mqtt.QuotaExceeded,
		mqtt.AdministrativeAction, mqtt.ConnectionRateExceeded, mqtt.MaximumConnectTime:
		return verdict{CategoryAPI, "server_error", true}
	}
	return verdict{CategoryAPI, "bad_request", false}
}

// reason finds out why the app refuses to let a token read a topic. Over MQTT
// it says "not authorized" to everything, from a wrong topic to an unknown key;
// its event stream names the reason (rule 15.7). refusal is what stays if there
// is nothing better to say.
func (c *Client) reason(ctx context.Context, topic pubsub.Topic, tok string, refusal *Error) *Error {
	probe := *c
	probe.FastlyKey = "" // it would be believed there, and is not over MQTT
	probe.Token = func(context.Context) (string, error) { return tok, nil }
	s, err := probe.SSE().Open(ctx, Request{Topics: []pubsub.Topic{topic}, Silence: pingGrace})
	if err == nil {
		_ = s.Close() // it was opened for its verdict
		return refusal
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Category == CategoryAuth {
		e.Topic = topic
		return e
	}
	return refusal
}
