package tail

// box is a rectangle of the screen, in cells.
type box struct{ x, y, w, h int }

func (b box) holds(x, y int) bool { return x >= b.x && x < b.x+b.w && y >= b.y && y < b.y+b.h }

// layout is where everything is. A box without width is not on the screen. The
// boxes of panes are those of their rows; the title is the line above.
type layout struct {
	header, banner       int // lines
	body                 box
	topics, list, detail box
	titles               bool
	beside               bool // the detail is beside the list, not below
}

// Sizes at which the screen gets more on it.
const (
	roomyHeight  = 12  // two lines of header, titles over the panes
	topicsWidth  = 70  // the topics pane is always there
	besideWidth  = 150 // the detail is beside the list
	stackedRows  = 12  // the detail is below the list, not instead of it
	narrowTopics = 22
	wideTopics   = 36
)

// layout computes the boxes from the size and from what is open.
func (m Model) layout() layout {
	l := layout{header: 1, titles: m.height >= roomyHeight}
	if m.height >= roomyHeight {
		l.header = 2
	}
	room := m.height - l.header - 3
	if m.mode == modePublish { // whoever types has to see it; the header has the state
		room = m.height - l.header - 1 - m.publishHeight()
	}
	l.banner = len(m.bannerLines(min(8, room)))
	top := l.header + l.banner
	l.body = box{0, top, max(0, m.width), max(1, m.height-top-1)}
	if m.mode == modePublish {
		l.body.h = max(0, l.body.h-m.publishHeight())
	}
	inner := l.body
	if l.titles {
		inner.y, inner.h = inner.y+1, max(0, inner.h-1)
	}
	l.divide(m, inner)
	return l
}

// divide gives the panes their parts.
func (l *layout) divide(m Model, in box) {
	wide := m.width >= topicsWidth
	if !wide && m.focus == focusTopics {
		l.topics = in
		return
	}
	if wide {
		l.topics = box{in.x, in.y, min(max(m.width/4, narrowTopics), wideTopics), in.h}
		in.x, in.w = l.topics.w+1, in.w-l.topics.w-1
	}
	l.list = in
	switch {
	case !m.detail.open:
	case m.width >= besideWidth:
		l.beside = true
		l.list.w = in.w * 55 / 100
		l.detail = box{in.x + l.list.w + 1, in.y, in.w - l.list.w - 1, in.h}
	case in.h >= stackedRows:
		l.list.h = max(3, in.h*2/5)
		l.detail = box{in.x, in.y + l.list.h + 1, in.w, in.h - l.list.h - 1}
	case m.focus == focusDetail:
		l.detail, l.list = in, box{}
	}
}

// bodyHeight is the height between header and footer, for overlays.
func (m Model) bodyHeight() int { return m.layout().body.h }
