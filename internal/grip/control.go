package grip

import "time"

// ControlType is what a control message asks for.
type ControlType uint8

// The control messages.
const (
	ControlSubscribe    ControlType = iota + 1 // Channel, Filters
	ControlUnsubscribe                         // Channel
	ControlSetMeta                             // Name, Value, Delete
	ControlKeepAlive                           // Content, MessageType, Timeout, Interval
	ControlSendDelayed                         // Content, MessageType, Timeout
	ControlFlushDelayed                        // send what is delayed now
	ControlDetach                              // close the origin's side, keep the client
	ControlSession                             // legacy, to be ignored
)

// String is the type as the wire spells it, empty for an unknown one.
func (t ControlType) String() string {
	switch t {
	case ControlSubscribe:
		return "subscribe"
	case ControlUnsubscribe:
		return "unsubscribe"
	case ControlSetMeta:
		return "set-meta"
	case ControlKeepAlive:
		return "keep-alive"
	case ControlSendDelayed:
		return "send-delayed"
	case ControlFlushDelayed:
		return "flush-delayed"
	case ControlDetach:
		return "detach"
	case ControlSession:
		return "session"
	}
	return ""
}

func controlType(name string) ControlType {
	for t := ControlSubscribe; t <= ControlSession; t++ {
		if t.String() == name {
			return t
		}
	}
	return 0
}

// Control is one control message of an origin. The fields that count for each
// type stand beside its constant.
type Control struct {
	Type ControlType
	// Channel is not empty. Filters replace those of an earlier subscription.
	Channel string
	Filters []string
	// Name is not empty. Delete removes the meta, Value is then empty.
	Name, Value string
	Delete      bool
	// Content is sent to the client as MessageType; nil turns a keep-alive off,
	// empty is an empty message.
	Content     []byte
	MessageType MessageType
	// Timeout is in whole seconds once parsed: of keep-alives at least 1, with 0
	// standing for 55; of delayed messages 0 for at once, 1 if not given.
	Timeout time.Duration
	// Interval fires at the timeout whatever was written meanwhile.
	Interval bool
}

const (
	errControlJSON Reason = "grip control message is not valid json"
	defaultDelay          = time.Second
)

// ParseControl reads the JSON behind the "c:" of a control message. A refused
// message, its error a Reason, is to be ignored; only ErrTooManyFilters ends the
// socket. Unlike Pushpin it refuses a keep-alive mode it does not know.
func ParseControl(b []byte) (Control, error) {
	v, ok := decodeJSON(b)
	if !ok {
		return Control{}, errControlJSON
	}
	var err error
	o := asObject(v, "grip control packet", &err)
	o.name = "grip control object"
	name := o.required("type")
	c := Control{Type: controlType(name)}
	if c.Type == 0 {
		o.fail("'type' contains unknown value: %s", name)
	}
	c.read(o)
	if err != nil {
		return Control{}, err
	}
	return c, nil
}

func (c *Control) read(o object) {
	switch c.Type {
	case ControlSubscribe:
		c.Channel = o.nonEmpty("channel")
		c.Filters = nilIfEmpty(o.texts("filters", "value"))
		if len(c.Filters) > MaxFilters {
			o.fail(string(ErrTooManyFilters))
		}
	case ControlUnsubscribe:
		c.Channel = o.nonEmpty("channel")
	case ControlSetMeta:
		c.Name, c.Value = o.nonEmpty("name"), o.text("value")
		c.Delete = !o.has("value")
	case ControlKeepAlive:
		c.readMessage(o)
		c.Timeout = max(o.seconds("timeout", DefaultTimeout), minKeepAlive)
		c.readMode(o)
	case ControlSendDelayed:
		c.readMessage(o)
		c.Timeout = o.seconds("timeout", defaultDelay)
	case ControlSession:
		o.text("id")
	}
}

func (o object) nonEmpty(key string) string {
	s := o.required(key)
	if s == "" {
		o.invalid(key)
	}
	return s
}

// readMessage takes content-bin without a message-type for text, as Pushpin
// does here and not in published items.
func (c *Control) readMessage(o object) {
	if o.has("message-type") {
		var ok bool
		if c.MessageType, ok = parseMessageType(o.text("message-type")); !ok {
			o.fail("%s contains 'message-type' with unknown value", o.name)
		}
	}
	c.Content = o.content("content-bin", "content")
}

func (c *Control) readMode(o object) {
	switch mode := o.text("mode"); mode {
	case "", keepAliveIdle:
	case keepAliveInterval:
		c.Interval = true
	default:
		o.fail("%s contains 'mode' with unknown value", o.name)
	}
}

// wireControl is the JSON of a control message.
type wireControl struct {
	Type        string   `json:"type"`
	Channel     string   `json:"channel,omitempty"`
	Filters     []string `json:"filters,omitempty"`
	Name        string   `json:"name,omitempty"`
	Value       *string  `json:"value,omitempty"`
	Content     *string  `json:"content,omitempty"`
	ContentBin  []byte   `json:"content-bin,omitzero"`
	MessageType string   `json:"message-type,omitempty"`
	Timeout     *int64   `json:"timeout,omitempty"`
	Mode        string   `json:"mode,omitempty"`
}

// Append appends the message as JSON without the "c:" in front; Event adds it.
// ParseControl reads the same from it if text is UTF-8 and the timeout, which is
// rounded up to whole seconds, within its bounds.
func (c Control) Append(dst []byte) []byte {
	w := wireControl{Type: c.Type.String()}
	switch c.Type {
	case ControlSubscribe, ControlUnsubscribe:
		w.Channel, w.Filters = c.Channel, c.Filters
	case ControlSetMeta:
		if w.Name = c.Name; !c.Delete {
			w.Value = &c.Value
		}
	case ControlKeepAlive, ControlSendDelayed:
		c.wireMessage(&w)
	}
	return appendJSON(dst, w)
}

func (c Control) wireMessage(w *wireControl) {
	if c.Content != nil {
		w.Content, w.ContentBin = textOrBytes(c.Content)
	}
	if c.MessageType != Text {
		w.MessageType = c.MessageType.String()
	}
	if c.Timeout != 0 || c.Type == ControlSendDelayed {
		seconds := int64(wholeSeconds(c.Timeout) / time.Second)
		w.Timeout = &seconds
	}
	if c.Interval {
		w.Mode = keepAliveInterval
	}
}

// Event is the control message as an origin sends it.
func (c Control) Event() Event {
	return Event{Type: EventText, Content: c.Append([]byte(controlPrefix))}
}
