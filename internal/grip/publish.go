package grip

import "net/http"

// The formats of a published item.
const (
	formatResponse = "http-response"
	formatStream   = "http-stream"
	formatMessage  = "ws-message"
)

// ParsePublish reads the body of a publish request. It accepts all items or,
// with an error, none. The error is ErrNotJSON, ErrNotObject, or a Reason to
// render as "Invalid format: " and the text. Unlike Pushpin it refuses codes that
// are no whole number.
//
// Formats may stand on the item itself instead of under "formats". Unknown keys
// and formats are ignored, so an item may come without any format. Base64 is
// decoded leniently: bytes outside the alphabet are skipped.
func ParsePublish(body []byte) ([]*Item, error) {
	v, ok := decodeJSON(body)
	if !ok {
		return nil, ErrNotJSON
	}
	fields, ok := v.(map[string]any)
	if !ok {
		if _, list := v.([]any); list {
			return nil, ErrNotObject
		}
		return nil, ErrNotJSON
	}
	var err error
	root := object{name: "object", fields: fields, err: &err}
	if !root.has("items") {
		root.missing("items")
	}
	list := root.list("items")
	items := make([]*Item, 0, len(list))
	for _, v := range list {
		if items = append(items, parseItem(v, &err)); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	return items, nil
}

func parseItem(v any, err *error) *Item {
	o := asObject(v, "publish item object", err)
	it := &Item{Channel: o.required("channel"), ID: o.text("id"), PrevID: o.text("prev-id")}
	it.readFormats(o)
	it.Meta = o.stringMap("meta")
	// The size only feeds statistics, which this project takes from the content.
	if o.number("size", 0) < 0 {
		o.invalid("size")
	}
	it.NoSeq = o.truth("no-seq")
	return it
}

// truth returns the boolean under key, false if it is absent.
func (o object) truth(key string) bool {
	v, ok := o.fields[key].(bool)
	if !ok && o.has(key) {
		o.wrongType(key)
	}
	return v
}

func (it *Item) readFormats(o object) {
	formats, ok := o.child("formats", "formats")
	if !ok {
		// The legacy form: only known formats count there.
		formats = o
		ok = o.has(formatResponse) || o.has(formatStream) || o.has(formatMessage)
	}
	if !ok || len(formats.fields) == 0 {
		o.fail("no formats specified")
		return
	}
	if v, ok := formats.fields[formatResponse]; ok {
		it.HTTPResponse = parseResponse(asObject(v, "'"+formatResponse+"'", o.err))
	}
	if v, ok := formats.fields[formatStream]; ok {
		it.HTTPStream = parseStream(asObject(v, "'"+formatStream+"'", o.err))
	}
	if v, ok := formats.fields[formatMessage]; ok {
		it.WSMessage = parseMessage(asObject(v, "'"+formatMessage+"'", o.err))
	}
}

// action reads what a format asks for. Fields of other actions than the one
// asked for are not looked at, whatever they hold.
func (o object) action() Action {
	if !o.has("action") {
		return Send
	}
	a, ok := parseAction(o.text("action"))
	if !ok {
		o.fail("") // the reason really is empty on the wire
	}
	return a
}

func (o object) contentFilters() []string { return o.texts("content-filters", "element") }

func parseResponse(o object) *HTTPResponse {
	r := &HTTPResponse{Action: o.action()}
	if r.Action != Send {
		return r
	}
	r.Code = o.number("code", http.StatusOK)
	if r.Code < 0 || r.Code > maxStatus {
		o.invalid("code")
	}
	if r.Code == 0 {
		r.Code = http.StatusOK
	}
	r.Reason = o.text("reason")
	r.Header = o.headers()
	r.ContentFilters = o.contentFilters()
	if r.Body = o.content("body-bin", "body"); r.Body == nil {
		r.BodyPatch = o.patch()
	}
	return r
}

// patch returns the operations as text again: they are read once there is a
// body to apply them to.
func (o object) patch() []byte {
	if !o.has("body-patch") {
		o.fail("%s does not contain 'body', 'body-bin', or 'body-patch'", o.name)
		return nil
	}
	ops := o.list("body-patch")
	if ops == nil {
		return nil // a wrong type, noted
	}
	return appendJSON(nil, ops)
}

func parseStream(o object) *HTTPStream {
	s := &HTTPStream{Action: o.action()}
	if s.Action != Send {
		return s
	}
	s.ContentFilters = o.contentFilters()
	if s.Content = o.content("content-bin", "content"); s.Content == nil {
		o.noContent()
	}
	return s
}

func (o object) noContent() { o.fail("%s does not contain 'content' or 'content-bin'", o.name) }

func parseMessage(o object) *WSMessage {
	m := &WSMessage{Action: o.action()}
	switch m.Action {
	case Send:
		m.readContent(o)
	case Close:
		if m.Code = o.number("code", 0); m.Code < 0 {
			o.invalid("code")
		}
		m.Reason = o.text("reason")
	}
	return m
}

func (m *WSMessage) readContent(o object) {
	switch {
	case o.has("type"):
		var ok bool
		if m.Type, ok = parseMessageType(o.text("type")); !ok {
			o.fail("%s contains 'type' with unknown value", o.name)
		}
	case o.has("content-bin"):
		m.Type = Binary
	}
	m.ContentFilters = o.contentFilters()
	m.Content = o.content("content-bin", "content")
	if m.Content == nil && (m.Type == Text || m.Type == Binary) {
		o.noContent()
	}
}
