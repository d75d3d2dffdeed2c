package app

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/mqtt"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// packet handles one packet; an error means that it cannot be read. Nothing has
// to come after a CONNECT (Quirk Q16), and other types are passed over.
func (c *call) packet(ctx context.Context, r mqtt.Request) error {
	switch r.Type() {
	case mqtt.TypeConnect:
		return c.connect(ctx, r)
	case mqtt.TypePublish:
		return c.publishPacket(ctx, r)
	case mqtt.TypeSubscribe:
		return c.subscribe(ctx, r)
	case mqtt.TypeUnsubscribe:
		return c.unsubscribe(ctx, r)
	case mqtt.TypePingreq:
		c.packets(mqtt.AppendPingresp(c.out))
	case mqtt.TypeDisconnect:
		return c.disconnect(r)
	}
	return nil
}

// judgeSize warns of a packet that is larger than announced, which nobody
// enforces (Quirk Q47).
func (c *call) judgeSize(ctx context.Context, r mqtt.Request, size int) {
	if size > mqtt.MaxPacket {
		c.warn(ctx, quirkLarge, misleads, slog.Int("bytes", size),
			slog.String("cause", r.Type().String()+" is larger than the maximum packet size, 32768 bytes"))
	}
}

// connect stores the password without a look at it (Quirk Q14).
func (c *call) connect(ctx context.Context, r mqtt.Request) error {
	p, err := r.Connect()
	switch {
	case err != nil:
		return err
	case p.Version < 5:
		c.packets(mqtt.AppendConnack3(c.out))
		c.closeFor(ctx, "CONNECT of an MQTT version before 5")
	case p.Version > 5:
		c.packets(mqtt.AppendConnack(c.out, mqtt.UnsupportedProtocolVersion))
		c.closeFor(ctx, "CONNECT of an unknown MQTT version")
	case c.connected: // Quirk Q15: nothing else happens
		c.packets(mqtt.AppendConnack(c.out, mqtt.ProtocolError))
	default:
		c.login(p)
		c.packets(mqtt.AppendConnack(c.out, mqtt.Success))
		if c.log.Enabled(ctx, slog.LevelInfo) {
			c.line(ctx, slog.LevelInfo, c.who, "mqtt connected")
		}
	}
	return nil
}

func (c *call) login(p mqtt.Connect) {
	c.connected, c.changed = true, true
	c.client, c.token = string(p.ClientID), string(p.Password)
	c.size = len(c.client) + len(c.token)
	if c.client != "" {
		c.sender = map[string]string{"sender": c.client}
	}
}

// closeFor ends the connection behind the frame; the packets up to its end are
// still handled (Quirk Q42).
func (c *call) closeFor(ctx context.Context, why string) {
	c.closing = true
	c.warn(ctx, quirkRefused, "mqtt connection closed", slog.String("cause", why))
}

// disconnect forgets everything about the client and closes nothing (Quirk Q26).
func (c *call) disconnect(r mqtt.Request) error {
	if err := r.Disconnect(); err != nil {
		return err
	}
	c.connected, c.changed = false, true
	c.client, c.token, c.sender, c.size = "", "", nil, 0
	for i := range c.subs {
		c.subs[i].gone = true
	}
	return nil
}

// grant is what the token of CONNECT allows now: it is judged each time anew,
// and an open subscription outlives it (Quirk Q34).
func (c *call) grant(ctx context.Context) (pubsub.Grant, *refusal) {
	if c.token == "" {
		return pubsub.Grant{}, forbidden("", "no token: CONNECT had no password, or there was no CONNECT")
	}
	claims, err := c.verifier.Verify(ctx, c.token, c.now)
	if err != nil {
		return pubsub.Grant{}, refusedToken(err)
	}
	if c.warned&quirkClaims == 0 {
		c.warned |= quirkClaims
		c.warnClaims(ctx, c.who, &claims, c.now)
	}
	return claims.Grant(), nil
}

// publishPacket handles a PUBLISH. Its checks come in the order of section 7.6.
// Nothing ever tells the client that its message was dropped (Quirk Q17).
func (c *call) publishPacket(ctx context.Context, r mqtt.Request) error {
	p, err := r.Publish()
	if err != nil {
		return err
	}
	if p.Foreign > 0 { // Quirk Q2
		c.warn(ctx, quirkAbsorbed, misleads, slog.String("topic", clipped(pubsub.Topic(p.Topic))), slog.Int("bytes", p.Foreign),
			slog.String("cause", "PUBLISH took the packets behind it in the same frame for the end of its payload"))
	}
	switch {
	case len(p.Topic) > 0 && p.Topic[0] == '$': // Quirk Q25
		c.drop(ctx, quirkDollar, p.Topic, badRequest("", "topics that begin with $ are not published"))
	case p.QoS > 0:
		c.packets(mqtt.AppendDisconnect(c.out, mqtt.QoSNotSupported))
		c.closeFor(ctx, "PUBLISH with QoS "+strconv.Itoa(int(p.QoS)))
	default:
		c.publishMessage(ctx, &p)
	}
	return nil
}

// publishMessage publishes what the client may publish.
func (c *call) publishMessage(ctx context.Context, p *mqtt.Publish) {
	topic := c.topic
	if string(topic) != string(p.Topic) {
		topic = pubsub.Topic(p.Topic)
	}
	g, no := c.grant(ctx)
	switch {
	case no != nil:
		c.drop(ctx, quirkToken, p.Topic, no)
		return
	case !g.CanWrite(topic):
		c.drop(ctx, quirkForbidden, p.Topic, forbidden("", "the topic is not in x-fastly-write"))
		return
	case len(p.Payload) > pubsub.MaxPayload:
		c.drop(ctx, quirkSize, p.Topic, badRequest("", "the message is longer than 32512 bytes"))
		return
	}
	if topic != c.topic || c.channel == "" {
		c.topic, c.channel = topic, topic.Live()
	}
	n := &notice{topic: topic}
	if !p.Retain || !c.store(ctx, p, n) {
		n.live(c.channel, p.Payload)
	}
	n.item.Meta = c.sender
	c.deliverNotice(ctx, n, p.Payload)
}

// store keeps a message. If that fails it is published as if it had not been
// asked for (Quirk Q18).
func (c *call) store(ctx context.Context, p *mqtt.Publish, n *notice) bool {
	e := store.Entry{Data: p.Payload}
	if p.Expires {
		e.Expires = c.now.Add(time.Duration(p.Expiry) * time.Second)
	}
	v, err := c.messages.Put(ctx, n.topic, e)
	if err != nil {
		c.warn(ctx, quirkUnstored, "mqtt message published but not stored", slog.String("topic", clipped(n.topic)), slog.Any("err", err))
		return false
	}
	c.stale = true
	n.stored(v)
	return true
}

// deliverNotice hands a message over. Without a publish token only its sender
// hears of it (Quirk Q41).
func (c *call) deliverNotice(ctx context.Context, n *notice, data []byte) {
	got, err := c.send(ctx, n)
	if err != nil {
		if !c.publishToken {
			c.echo(n)
		}
		c.warn(ctx, quirkUnpublished, "mqtt message not published", slog.String("topic", clipped(n.topic)), slog.Any("err", err))
		return
	}
	if n.kept {
		c.warnStored(ctx, c.who, n, got)
	}
	if c.warned&quirkReturn == 0 && c.warnReturn(ctx, c.who, n, data) {
		c.warned |= quirkReturn
	}
	c.logPublished(ctx, c.who, "mqtt published", n, data, got)
}

// echo sends a live message back to its sender, subscribed or not.
func (c *call) echo(n *notice) {
	if i := c.find(n.topic); n.kept || i >= 0 && !c.subs[i].gone && c.subs[i].noLocal {
		return
	}
	c.emit(grip.EventBinary, n.socket.Content)
}

// subscribe handles a SUBSCRIBE. Only its first filter counts (Quirk Q3).
func (c *call) subscribe(ctx context.Context, r mqtt.Request) error {
	p, err := r.Subscribe()
	if err != nil {
		return err
	}
	topic := pubsub.Topic(p.Filter)
	c.warnFilters(ctx, mqtt.TypeSubscribe, topic, p.More)
	slot, code, no := c.mayListen(ctx, topic)
	c.packets(mqtt.AppendSuback(c.out, p.PacketID, code))
	if no != nil {
		c.logRefusedFilter(ctx, topic, code, no)
		return nil
	}
	c.listen(topic, slot.Version, p.Options)
	if slot.Entry != nil && p.Options.RetainHandling == 0 { // Quirks Q22 and Q23
		c.stored(ctx, topic, slot.Entry.Data, slot.Entry.Expires, true)
	}
	c.logListening(ctx, topic)
	return nil
}

// mayListen makes the checks of section 7.4 and reads what is stored.
func (c *call) mayListen(ctx context.Context, t pubsub.Topic) (store.Slot, mqtt.Reason, *refusal) {
	switch {
	case t == "":
		return store.Slot{}, mqtt.UnspecifiedError, badRequest("", "the filter is empty")
	case strings.ContainsAny(string(t), "#+"):
		return store.Slot{}, mqtt.WildcardSubscriptionsNotSupported, badRequest("", "filters with # or + are refused")
	}
	g, no := c.grant(ctx)
	if no == nil && !g.CanRead(t) {
		no = forbidden("", "the topic is not in x-fastly-read")
	}
	if no != nil {
		return store.Slot{}, mqtt.NotAuthorized, no
	}
	slot, _, err := c.newer(ctx, t, pubsub.Version{})
	if err != nil {
		return store.Slot{}, mqtt.UnspecifiedError, failed("", "the stored message could not be read", err)
	}
	return slot, mqtt.Success, nil
}

// unsubscribe handles an UNSUBSCRIBE, for which no right is needed. The answer
// has the wrong type (Quirk Q4).
func (c *call) unsubscribe(ctx context.Context, r mqtt.Request) error {
	p, err := r.Unsubscribe()
	if err != nil {
		return err
	}
	c.warnFilters(ctx, mqtt.TypeUnsubscribe, pubsub.Topic(p.Filter), p.More)
	code := mqtt.NoSubscriptionExisted
	if i := c.find(pubsub.Topic(p.Filter)); i >= 0 && !c.subs[i].gone {
		c.leave(i)
		code = mqtt.Success
	}
	c.packets(mqtt.AppendUnsuback(c.out, p.PacketID, code))
	return nil
}
