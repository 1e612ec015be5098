//! Limits as systems write them down.

use super::*;

fn tasks(most: usize, used: usize, by: &str) -> Tasks {
    let by = by.to_owned();
    Tasks { most, used, by }
}

fn paths(all: &[&str]) -> Vec<PathBuf> {
    all.iter().map(PathBuf::from).collect()
}

#[test]
fn the_lowest_limit_holds() {
    let of = |maps, limits: &[Tasks], own| {
        let Ceiling { threads, by } = lowest(maps, limits, own);
        (threads, by)
    };
    let maps = DEFAULT_MAX_MAP_COUNT;
    assert_eq!(of(maps, &[], 1), (15_882, "vm.max_map_count".into()));
    // What others use is theirs; what the server has itself is not.
    let (inner, outer) = (tasks(100, 1, "inner"), tasks(500, 430, "outer"));
    assert_eq!(
        of(maps, &[inner, outer], 1),
        (500 - 429 - 16, "outer".into())
    );
    let (inner, outer) = (tasks(100, 75, "inner"), tasks(500, 75, "outer"));
    assert_eq!(of(maps, &[outer, inner], 75), (84, "inner".into()));
    // More in use than there may be, or hardly anything allowed.
    assert_eq!(of(maps, &[tasks(10, 900, "full")], 2), (4, "full".into()));
    assert_eq!(of(0, &[], 0), (4, "vm.max_map_count".into()));
}

#[test]
fn groups_are_found_with_those_around_them() {
    let v2 = "24 1 0:22 / /proc rw - proc proc rw\n\
              31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
    assert_eq!(
        directories("0::/system.slice/plauschd.service\n", v2),
        paths(&[
            "/sys/fs/cgroup/system.slice/plauschd.service",
            "/sys/fs/cgroup/system.slice",
            "/sys/fs/cgroup",
        ])
    );
    // In a namespace of its own, the outermost that is seen has a limit too.
    assert_eq!(directories("0::/\n", v2), paths(&["/sys/fs/cgroup"]));
    // Moved out of its namespace's root: what can be seen is all there is to go by.
    assert_eq!(
        directories("0::/../other\n", v2),
        paths(&["/sys/fs/cgroup"])
    );
    assert!(directories("0::/x\n", "nothing of use\n1 2 3 - cgroup2\n").is_empty());
    assert!(directories("", v2).is_empty());
}

#[test]
fn groups_of_version_1_and_of_containers_are_found() {
    let groups = "9:name=systemd:/\n8:cpu,pids:/a/b\n4:memory:/process\n0::/\n";
    let mounts = "36 31 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                  39 31 0:36 / /sys/fs/cgroup/cpu,pids rw - cgroup cgroup rw,cpu,pids\n\
                  41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    assert_eq!(
        directories(groups, mounts),
        paths(&[
            "/sys/fs/cgroup/cpu,pids/a/b",
            "/sys/fs/cgroup/cpu,pids/a",
            "/sys/fs/cgroup/cpu,pids",
            "/sys/fs/cgroup/unified",
        ])
    );
    // A container without a namespace of groups: the mount begins at its own.
    let container = "9 1 0:36 /docker/1f /my\\040groups ro shared:1 - cgroup pids rw,pids\n";
    assert_eq!(
        directories("8:pids:/docker/1f/app\n", container),
        paths(&["/my groups/app", "/my groups"])
    );
    assert_eq!(
        directories("8:pids:/elsewhere\n", container),
        paths(&["/my groups"])
    );
}

#[test]
fn the_limit_of_a_group_is_read_from_its_files() {
    let scratch = crate::store::tests::scratch::Scratch::new();
    let directory = &scratch.directory;
    assert_eq!(group(directory), None);
    let write = |most, current| {
        fs::write(directory.join("pids.max"), most).unwrap();
        fs::write(directory.join("pids.current"), current).unwrap();
    };
    write("max\n", "7\n");
    assert_eq!(group(directory), None);
    write("100\n", "7\n");
    let by = directory.join("pids.max").display().to_string();
    assert_eq!(group(directory), Some(tasks(100, 7, &by)));
}

#[test]
fn a_users_limit_binds_who_is_not_exempt() {
    let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                  Max processes             40                   96365                processes \n\
                  Max open files            1024                 524288               files     \n";
    let status = |user: u32, capabilities: &str| {
        format!("Name:\tplauschd\nUid:\t{user}\t0\t0\t0\nThreads:\t9\nCapEff:\t{capabilities}\n")
    };
    let none = "0000000000000000";
    assert_eq!(bound(limits, &status(1000, none)), Some((1000, 40)));
    assert_eq!(bound(limits, &status(0, none)), None);
    assert_eq!(bound(limits, &status(1000, "0000000000200000")), None);
    assert_eq!(bound(limits, &status(1000, "0000000001000000")), None);
    assert_eq!(
        bound(limits, &status(1000, "0000000000800000")),
        Some((1000, 40))
    );
    let unlimited = limits.replace("40 ", "unlimited ");
    assert_eq!(bound(&unlimited, &status(1000, none)), None);
    assert_eq!(bound("", ""), None);
}

#[test]
fn this_system_answers() {
    let ceiling = Ceiling::read();
    assert!(ceiling.threads >= LEAST && !ceiling.by.is_empty());
    assert!(everybody() > 0);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let user: u32 = field(&status, "Uid:").unwrap().parse().unwrap();
    let mut child = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    let others = used_by_others(user);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(others >= 1, "{others}");
}

#[test]
fn one_is_none_of_the_others() {
    let names = ["41", "42", "43", "self", "thread-self", "loadavg"];
    let others = names.into_iter().filter(|name| is_other(name, 42));
    assert_eq!(others.collect::<Vec<_>>(), ["41", "43"]);
}
