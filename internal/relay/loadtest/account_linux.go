package loadtest

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuOf is the processor time a process has used so far, over all its threads
// and in nanoseconds, kernel work on its behalf included. pid 0 is the caller.
func cpuOf(pid int) (time.Duration, error) {
	// clock_getcpuclockid(3): the complement of the pid, shifted, with the
	// scheduler's exact clock (2) instead of /proc's hundredths of a second.
	clock := int32(^pid<<3 | 2)
	if pid == 0 {
		clock = unix.CLOCK_PROCESS_CPUTIME_ID
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, fmt.Errorf("read processor time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// cpuMeter reads the processor time of a server's processes, of the caller and
// of the cores the two are bound to.
func cpuMeter(pids []int, cores []int) func() (usage, error) {
	return func() (u usage, err error) {
		for _, pid := range pids {
			d, err := cpuOf(pid)
			if err != nil {
				return u, err
			}
			u.server += d
		}
		if u.generator, err = cpuOf(0); err != nil {
			return u, err
		}
		for _, core := range cores {
			d, err := coreTime(core)
			if err != nil {
				return u, err
			}
			u.cores += d
		}
		return u, nil
	}
}

// userTick is the unit of /proc/stat.
const userTick = 10 * time.Millisecond

// coreTime is how long a core has been busy so far, time a hypervisor took from
// it included.
func coreTime(core int) (time.Duration, error) {
	f, err := os.Open("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("read time of processor %d: %w", core, err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var name string
		var user, nice, system, idle, iowait, irq, softirq, steal int64
		_, err := fmt.Sscan(lines.Text(), &name, &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal)
		if err == nil && name == fmt.Sprintf("cpu%d", core) {
			return time.Duration(user+nice+system+irq+softirq+steal) * userTick, nil
		}
	}
	return 0, fmt.Errorf("read time of processor %d: no such line", core)
}

// residentOf is the resident set of processes, in bytes.
func residentOf(pids []int) (total int64, err error) {
	for _, pid := range pids {
		n, err := statusBytes(pid, "VmRSS:")
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

func statusBytes(pid int, field string) (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), field); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
			}
			return kb << 10, nil
		}
	}
	return 0, fmt.Errorf("read memory of process %d: no %s line", pid, field)
}

// family is a process and its descendants, for servers made of several.
func family(pid int) []int {
	pids := []int{pid}
	for i := 0; i < len(pids); i++ {
		pids = append(pids, childrenOf(pids[i])...)
	}
	return pids
}

func childrenOf(pid int) (pids []int) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil // it has ended, and with it what it used
	}
	for _, task := range tasks {
		list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err != nil {
			continue
		}
		for _, field := range strings.Fields(string(list)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}
