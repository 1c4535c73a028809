-- A ledger of schema version 5 as SQLite has it, with a campaign that was sent half-way.
BEGIN TRANSACTION;
CREATE TABLE caixin_account (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    hash VARCHAR(64) NOT NULL,
    name TEXT NOT NULL,
    next_slot DOUBLE NOT NULL,
    reach DOUBLE,
    pace DOUBLE NOT NULL,
    paced_at DOUBLE,
    slowest_since DOUBLE,
    failures INTEGER NOT NULL,
    last_sent_at DOUBLE,
    day DOUBLE NOT NULL,
    day_count BIGINT NOT NULL,
    paused BOOLEAN NOT NULL,
    max_per_day BIGINT,
    UNIQUE (hash)
);
INSERT INTO "caixin_account" VALUES(1,'9af211329b2fc82e5efe906062c730082819b23fe8394bc435e0b1bf0458eb54','account',1795399001.0,0.05,1.0,NULL,NULL,0,NULL,1795392000.0,3,0,NULL);
CREATE TABLE caixin_account_connection (
    hash VARCHAR(64) NOT NULL,
    conn_id TEXT NOT NULL,
    account INTEGER NOT NULL,
    PRIMARY KEY (hash),
    FOREIGN KEY(account) REFERENCES caixin_account (id)
);
CREATE TABLE caixin_account_key (
    hash VARCHAR(64) NOT NULL,
    account INTEGER NOT NULL,
    PRIMARY KEY (hash),
    FOREIGN KEY(account) REFERENCES caixin_account (id)
);
CREATE TABLE caixin_campaign (
    id INTEGER NOT NULL,
    hash VARCHAR(64) NOT NULL,
    campaign_id TEXT NOT NULL,
    account INTEGER NOT NULL,
    tpl_id BIGINT NOT NULL,
    created_at DOUBLE NOT NULL,
    loaded_at DOUBLE,
    pending BIGINT NOT NULL,
    in_flight BIGINT NOT NULL,
    sent BIGINT NOT NULL,
    rejected BIGINT NOT NULL,
    unknown BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    paused BOOLEAN NOT NULL,
    cancelled BOOLEAN NOT NULL,
    quota_since DOUBLE,
    classified_by VARCHAR(64),
    active_at DOUBLE,
    dag_id VARCHAR(250),
    run_id VARCHAR(250),
    task_id VARCHAR(250),
    map_index INTEGER,
    rate DOUBLE,
    loosened TEXT,
    purged_at DOUBLE,
    tallied DOUBLE,
    PRIMARY KEY (id),
    UNIQUE (hash),
    FOREIGN KEY(account) REFERENCES caixin_account (id)
);
INSERT INTO "caixin_campaign" VALUES(1,'3dc260b2472062d9c57bd930b02f23831d917b8f3e3234b6d63964a53c31d3aa','campaign',1,65535,1795400000.0,1795400000.0,1,1,1,1,1,1,0,0,NULL,NULL,NULL,'dag','run','send',-1,100.0,'a rule
another',NULL,NULL);
CREATE TABLE caixin_load (
    id INTEGER NOT NULL,
    campaign INTEGER NOT NULL,
    hash VARCHAR(64) NOT NULL,
    source TEXT NOT NULL,
    done BOOLEAN NOT NULL,
    owner VARCHAR(32),
    lease DOUBLE NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT caixin_load_source UNIQUE (campaign, hash),
    FOREIGN KEY(campaign) REFERENCES caixin_campaign (id)
);
INSERT INTO "caixin_load" VALUES(1,1,'41cf6794ba4200b839c53531555f0f3998df4cbb01a4d5cb0b94e3ca5e23947d','source',1,NULL,1795400060.0);
CREATE TABLE caixin_meta (
    name VARCHAR(40) NOT NULL,
    value VARCHAR(100) NOT NULL,
    PRIMARY KEY (name)
);
INSERT INTO "caixin_meta" VALUES('schema_version','5');
INSERT INTO "caixin_meta" VALUES('uuid','e8c5746a-0449-4feb-9dda-03a7ef492952');
CREATE TABLE caixin_recipient (
    id INTEGER NOT NULL,
    number VARCHAR(64) NOT NULL,
    campaign INTEGER NOT NULL,
    occurrence INTEGER NOT NULL,
    position BIGINT NOT NULL,
    state VARCHAR(9) NOT NULL,
    due DOUBLE DEFAULT 0 NOT NULL,
    reason VARCHAR(200),
    code INTEGER,
    sid VARCHAR(255),
    sent_at DOUBLE,
    claim VARCHAR(48),
    busy SMALLINT DEFAULT 0 NOT NULL,
    doubt_at DOUBLE,
    PRIMARY KEY (id),
    CONSTRAINT caixin_recipient_key UNIQUE (number, campaign, occurrence),
    FOREIGN KEY(campaign) REFERENCES caixin_campaign (id)
);
INSERT INTO "caixin_recipient" VALUES(1,'13900000000',1,1,4294967296,'sent',0.0,NULL,NULL,'sid',1795399000.0,'claim',0,NULL);
INSERT INTO "caixin_recipient" VALUES(2,'13900000001',1,1,4294967297,'rejected',0.0,NULL,236306,'sid',1795399000.0,'claim',0,NULL);
INSERT INTO "caixin_recipient" VALUES(3,'13900000002',1,1,4294967298,'unknown',0.0,NULL,NULL,'sid',1795399000.0,'claim',0,NULL);
INSERT INTO "caixin_recipient" VALUES(4,'13900000003',1,1,4294967299,'in_flight',1795399060.0,NULL,NULL,NULL,1795399000.0,'claim',0,NULL);
INSERT INTO "caixin_recipient" VALUES(5,'13900000004',1,1,4294967300,'pending',0.0,NULL,NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO "caixin_recipient" VALUES(6,'13900000005',1,1,4294967301,'skipped',0.0,'frequency_cap',NULL,NULL,NULL,NULL,0,NULL);
CREATE TABLE caixin_suppression (
    number VARCHAR(11) NOT NULL,
    reason VARCHAR(200),
    added_at DOUBLE NOT NULL,
    PRIMARY KEY (number)
);
CREATE TABLE caixin_tally (
    campaign INTEGER NOT NULL,
    state VARCHAR(9) NOT NULL,
    detail VARCHAR(40) NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (campaign, state, detail),
    FOREIGN KEY(campaign) REFERENCES caixin_campaign (id)
);
CREATE TABLE caixin_traffic (
    campaign INTEGER NOT NULL,
    minute BIGINT NOT NULL,
    sent BIGINT NOT NULL,
    rejected BIGINT NOT NULL,
    unknown BIGINT NOT NULL,
    PRIMARY KEY (campaign, minute),
    FOREIGN KEY(campaign) REFERENCES caixin_campaign (id)
);
INSERT INTO "caixin_traffic" VALUES(1,29923316,1,1,1);
CREATE INDEX caixin_campaign_account ON caixin_campaign (account, tpl_id);
CREATE INDEX caixin_recipient_person ON caixin_recipient (number, sent_at) WHERE sent_at IS NOT NULL;
CREATE INDEX caixin_recipient_claim ON caixin_recipient (campaign, state, due, position);
CREATE INDEX caixin_traffic_minute ON caixin_traffic (minute);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('caixin_account',1);
COMMIT;
