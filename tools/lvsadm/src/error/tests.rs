// SPDX-License-Identifier: GPL-2.0-only

//! Each error number, for each operation.

use super::*;
use crate::model::scheduler;
use crate::model::{
    Change, Daemon, DaemonRole, Destination, DestinationId, Family, Forwarding, Netmask, Protocol,
    Service, ServiceFlags, ServiceId, Timeouts,
};
use crate::netlink::{Failure, KernelError};

fn service() -> Service {
    let id = ServiceId::Mark {
        mark: 7,
        family: Family::Inet,
    };
    Service {
        scheduler: "nope".to_owned(),
        flags: ServiceFlags::default(),
        timeout: 0,
        netmask: Netmask::Inet([255; 4].into()),
        engine: None,
        id,
    }
}

fn kernel(errno: i32, message: Option<&str>) -> Failure {
    Failure::Kernel(KernelError {
        errno,
        message: message.map(str::to_owned),
        ..KernelError::default()
    })
}

fn daemon(role: DaemonRole) -> Daemon {
    Daemon {
        role,
        interface: "eth9".to_owned(),
        sync_id: 0,
        max_length: 0,
        group: None,
        port: 0,
        ttl: 0,
    }
}

fn destination(forwarding: Forwarding) -> Destination {
    Destination {
        id: DestinationId {
            address: [10, 0, 0, 1].into(),
            port: 80,
        },
        forwarding,
        weight: 1,
        upper_threshold: 5,
        lower_threshold: 10,
        tunnel: crate::model::Tunnel::default(),
    }
}

/// Every pair of operation and error number that has a sentence of its own.
#[test]
fn each_error_number_has_its_sentence_for_each_operation() {
    let id = service().id;
    let add = Change::AddService(service());
    let known = Change::AddService(Service {
        scheduler: "wlc".to_owned(),
        ..service()
    });
    let engine = Change::AddService(Service {
        engine: Some("sip".to_owned()),
        ..service()
    });
    let persistent = Change::AddService(Service {
        flags: ServiceFlags::PERSISTENT,
        ..service()
    });
    let port_0 = Change::DeleteService(ServiceId::Address {
        protocol: Protocol::Tcp,
        address: [10, 0, 0, 1].into(),
        port: 0,
    });
    let server = |method| Change::AddDestination(service().id, destination(method));
    let nat = server(Forwarding::Masquerade);
    let tunnel = server(Forwarding::Tunnel);
    let delete = Change::DeleteDestination(id.clone(), destination(Forwarding::Route).id);
    let start = Change::StartDaemon(daemon(DaemonRole::Master));
    let timeouts = Change::SetTimeouts(Timeouts {
        tcp: 1,
        tcp_fin: 1,
        udp: 1,
    });
    for (change, errno, message, words) in [
        (
            &add,
            libc::EEXIST,
            None,
            "the service exists already (-E edits it)",
        ),
        // The kernel's words would repeat ours.
        (
            &add,
            libc::EEXIST,
            Some("the virtual service exists already"),
            "(IPv4): the service exists already (-E edits it)",
        ),
        (
            &add,
            libc::ENOENT,
            None,
            "no scheduler \"nope\" (lvsadm schedulers lists them)",
        ),
        (
            &known,
            libc::ENOENT,
            Some("no such scheduler"),
            "no scheduler \"wlc\" (load its module: modprobe ipvs_rs_wlc)",
        ),
        (
            &engine,
            libc::ENOENT,
            None,
            "no scheduler \"nope\" or no persistence engine \"sip\"",
        ),
        (
            &engine,
            libc::ENOENT,
            Some("no such persistence engine"),
            "(IPv4): the kernel has no persistence engine \"sip\"",
        ),
        (
            &engine,
            libc::ENOENT,
            Some("no such scheduler"),
            "(IPv4): the kernel has no scheduler \"nope\" (lvs",
        ),
        (
            &persistent,
            libc::EINVAL,
            None,
            "may not support --persistent",
        ),
        (
            &persistent,
            libc::EINVAL,
            Some("the persistence timeout is out of range"),
            "(IPv4): the persistence timeout is out of range",
        ),
        (&add, libc::EINVAL, None, "considers the request invalid"),
        (&add, libc::ESRCH, None, "no such service (lvsadm -Ln"),
        (&port_0, libc::ESRCH, None, "no port was given"),
        (&nat, libc::ESRCH, None, "no such service"),
        (&nat, libc::ENOENT, None, "the service has no such server"),
        (
            &nat,
            libc::EEXIST,
            None,
            "the server exists already (-e edits it)",
        ),
        (
            &nat,
            libc::ERANGE,
            None,
            "--l-threshold 10 is above --u-threshold 5",
        ),
        (&nat, libc::EINVAL, None, "is a unicast address"),
        (&tunnel, libc::EINVAL, None, "knows the tunnel options"),
        (
            &tunnel,
            libc::EOPNOTSUPP,
            None,
            "does not support tunnels (-i) to an IPv4 server",
        ),
        (&nat, libc::EOPNOTSUPP, None, "support NAT (-m)"),
        (
            &delete,
            libc::ENOENT,
            None,
            "the service has no such server",
        ),
        (&delete, libc::ESRCH, None, "no such service"),
        (&start, libc::EEXIST, None, "it runs already"),
        (&start, libc::ENODEV, None, "no network interface eth9"),
        (
            &Change::StopDaemon(DaemonRole::Backup),
            libc::ESRCH,
            None,
            "cannot stop the backup synchronization daemon: it does not run",
        ),
        (
            &timeouts,
            libc::EINVAL,
            None,
            "does not accept such a timeout",
        ),
        (&Change::Zero(None), libc::EPERM, None, "CAP_NET_ADMIN"),
        (
            &Change::Zero(Some(id)),
            libc::ESRCH,
            None,
            "no such service",
        ),
        (&Change::Clear, libc::ENOMEM, None, "out of memory"),
        (&Change::Clear, libc::EAFNOSUPPORT, None, "address family"),
        (&Change::Clear, libc::ENOPROTOOPT, None, "protocol"),
        (
            &Change::Clear,
            libc::EMSGSIZE,
            None,
            "does not fit a message",
        ),
        (&Change::Clear, libc::ERANGE, None, "out of range"),
        (&Change::Clear, libc::EIO, None, "Input/output error"),
        (
            &Change::Clear,
            libc::EAGAIN,
            Some("another command changed the service"),
            "cannot clear the table: another command changed the service",
        ),
    ] {
        let text = self::change(change, &kernel(errno, message)).to_string();
        assert!(text.contains(words), "{errno}: {text}");
        assert!(!text.contains("the kernel says"), "{text}");
    }
}

/// Whole sentences: the operation in each, and each option that a kernel may not support.
#[test]
fn each_operation_is_named_in_a_whole_sentence() {
    let id = service().id;
    let with = |edit: fn(&mut Service)| {
        let mut service = service();
        edit(&mut service);
        Change::AddService(service)
    };
    let server = |method| destination(method);
    let six = Destination {
        id: DestinationId {
            address: "2001:db8::1".parse().unwrap(),
            port: 80,
        },
        lower_threshold: 1,
        ..destination(Forwarding::Route)
    };
    let edit = |server| Change::EditDestination(service().id, server);
    let start = Change::StartDaemon(daemon(DaemonRole::Backup));
    let timeouts = Change::SetTimeouts(Timeouts {
        tcp: 1,
        tcp_fin: 1,
        udp: 1,
    });
    let tcp_port_0 = ServiceId::Address {
        protocol: Protocol::Tcp,
        address: [10, 0, 0, 1].into(),
        port: 0,
    };
    let denied = "permission denied: this needs CAP_NET_ADMIN in the network namespace (run \
                  it as root)";
    let listed = "there is no such service (lvsadm -Ln lists the services)";
    let not_supported = "the kernel does not accept such a service; it may not support";
    for (change, errno, sentence) in [
        (
            Change::EditService(service()),
            libc::ESRCH,
            format!("edit service firewall mark 7 (IPv4): {listed}"),
        ),
        (
            Change::DeleteService(id.clone()),
            libc::ESRCH,
            format!("delete service firewall mark 7 (IPv4): {listed}"),
        ),
        (
            Change::DeleteService(tcp_port_0),
            libc::ESRCH,
            "delete service TCP 10.0.0.1:0: there is no such service (no port was given, and \
             port 0 stands for every port; lvsadm -Ln lists the services)"
                .to_owned(),
        ),
        // Only a missing service has this meaning.
        (
            Change::DeleteService(id.clone()),
            libc::ENOENT,
            "delete service firewall mark 7 (IPv4): No such file or directory (os error 2)"
                .to_owned(),
        ),
        (
            Change::Zero(Some(id.clone())),
            libc::ESRCH,
            format!("zero the counters of service firewall mark 7 (IPv4): {listed}"),
        ),
        (
            Change::Zero(None),
            libc::EACCES,
            format!("zero the counters: {denied}"),
        ),
        (
            Change::Clear,
            libc::EPERM,
            format!("clear the table: {denied}"),
        ),
        (
            Change::Clear,
            libc::EOPNOTSUPP,
            "clear the table: the kernel does not support this".to_owned(),
        ),
        (
            Change::Clear,
            libc::EINVAL,
            "clear the table: the kernel considers the request invalid".to_owned(),
        ),
        (
            Change::DeleteDestination(id.clone(), six.id),
            libc::ENOENT,
            "delete server [2001:db8::1]:80 of service firewall mark 7 (IPv4): the service \
             has no such server (lvsadm -Ln lists the servers)"
                .to_owned(),
        ),
        (
            Change::AddDestination(id, six.clone()),
            libc::EOPNOTSUPP,
            "add server [2001:db8::1]:80 to service firewall mark 7 (IPv4): the kernel does \
             not support direct routing (-g) to an IPv6 server"
                .to_owned(),
        ),
        (
            edit(server(Forwarding::Masquerade)),
            libc::EINVAL,
            "edit server 10.0.0.1:80 of service firewall mark 7 (IPv4): the kernel does not \
             accept such a server; check that its address is a unicast address"
                .to_owned(),
        ),
        (
            edit(server(Forwarding::Tunnel)),
            libc::EINVAL,
            "edit server 10.0.0.1:80 of service firewall mark 7 (IPv4): the kernel does not \
             accept such a server; check that its address is a unicast address and that the \
             kernel knows the tunnel options"
                .to_owned(),
        ),
        // The thresholds are in order here.
        (
            edit(six),
            libc::ERANGE,
            "edit server [2001:db8::1]:80 of service firewall mark 7 (IPv4): the kernel \
             considers a value out of range"
                .to_owned(),
        ),
        (
            with(|service| service.flags = ServiceFlags::ONE_PACKET),
            libc::EINVAL,
            format!("add service firewall mark 7 (IPv4): {not_supported} --ops"),
        ),
        (
            with(|service| service.engine = Some("sip".to_owned())),
            libc::EOPNOTSUPP,
            format!("add service firewall mark 7 (IPv4): {not_supported} --pe"),
        ),
        (
            with(|service| {
                service.id = ServiceId::Address {
                    protocol: Protocol::Sctp,
                    address: "2001:db8::1".parse().unwrap(),
                    port: 80,
                };
            }),
            libc::EOPNOTSUPP,
            format!("add service SCTP [2001:db8::1]:80: {not_supported} IPv6, --sctp-service"),
        ),
        (
            with(|service| {
                service.scheduler = "sh".to_owned();
                service.flags = scheduler::find_flag("sh-port").unwrap().1;
            }),
            libc::EINVAL,
            format!("add service firewall mark 7 (IPv4): {not_supported} --sched-flags"),
        ),
        (
            start.clone(),
            libc::EEXIST,
            "start the backup synchronization daemon: it runs already".to_owned(),
        ),
        (
            start,
            libc::ENODEV,
            "start the backup synchronization daemon: there is no network interface eth9 \
             (--mcast-interface selects another)"
                .to_owned(),
        ),
        (
            Change::StopDaemon(DaemonRole::Master),
            libc::ESRCH,
            "stop the master synchronization daemon: it does not run".to_owned(),
        ),
        (
            Change::StopDaemon(DaemonRole::Master),
            libc::EEXIST,
            "stop the master synchronization daemon: File exists (os error 17)".to_owned(),
        ),
        (
            timeouts.clone(),
            libc::ERANGE,
            "set the timeouts: the kernel does not accept such a timeout".to_owned(),
        ),
        (
            timeouts,
            libc::ENOMEM,
            "set the timeouts: the kernel is out of memory".to_owned(),
        ),
    ] {
        let text = self::change(&change, &kernel(errno, None)).to_string();
        assert_eq!(text, format!("cannot {sentence}"));
    }
}

#[test]
fn errors_have_their_exit_codes_and_keep_them() {
    let usage = Error::Usage("wrong".to_owned());
    let failed = Error::Failed("refused".to_owned());
    let output = || Error::Output(io::ErrorKind::StorageFull.into());
    let clap = |arguments: &[&str]| {
        let command = clap::Command::new("lvsadm").version("1");
        let error = command.try_get_matches_from(arguments).unwrap_err();
        Error::Clap(Box::new(error))
    };
    let (help, wrong) = (clap(&["lvsadm", "--help"]), clap(&["lvsadm", "--hlep"]));
    let code = |error: &Error| format!("{:?}", error.exit_code());
    let expected = |code: u8| format!("{:?}", ExitCode::from(code));
    for (error, status) in [
        (&usage, 2),
        (&failed, 1),
        (&output(), 1),
        (&help, 0),
        (&wrong, 2),
    ] {
        assert_eq!(code(error), expected(status), "{error}");
    }
    for (error, status) in [(&usage, 2), (&failed, 1), (&output(), 1), (&wrong, 2)] {
        let again = error.reworded("other words".to_owned());
        assert_eq!(again.to_string(), "other words");
        assert_eq!(code(&again), expected(status));
    }
    assert_eq!(
        output().to_string(),
        "cannot write to standard output: no storage space"
    );
    assert_eq!(
        wrong.to_string(),
        "unexpected argument '--hlep' found; tip: a similar argument exists: '--help'"
    );
}

#[test]
fn a_query_without_an_answer_gives_the_reason() {
    let refused = kernel(libc::EIO, None);
    for (failure, words) in [
        (&refused, "Input/output error"),
        (&Failure::Interrupted, "kept changing"),
        (&Failure::Overrun, "overran the socket buffer"),
        (&Failure::Malformed("x".to_owned()), "cannot be read: x"),
        (
            &Failure::Socket(io::ErrorKind::NotConnected.into()),
            "netlink socket: not connected",
        ),
        (
            &Failure::Output(io::ErrorKind::StorageFull.into()),
            "the answer cannot be written: no storage space",
        ),
    ] {
        let text = query("list the services", failure).to_string();
        assert!(text.starts_with("cannot list the services: "), "{text}");
        assert!(text.contains(words), "{text}");
    }
    let error = service_query(&service().id, &kernel(libc::ESRCH, Some("no such service")));
    assert_eq!(
        error.to_string(),
        "cannot list service firewall mark 7 (IPv4): there is no such service (lvsadm -Ln \
         lists the services)"
    );
    let other = service_query(&service().id, &kernel(libc::EIO, None)).to_string();
    assert!(
        other.ends_with(": Input/output error (os error 5)"),
        "{other}"
    );
}

#[test]
fn a_missing_attribute_is_named() {
    let failure = Failure::Kernel(KernelError {
        errno: libc::EINVAL,
        missing: Some(3),
        ..KernelError::default()
    });
    let text = change(&Change::Clear, &failure).to_string();
    assert!(text.ends_with("(it misses attribute 3)"), "{text}");
}
