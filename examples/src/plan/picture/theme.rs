//! Colours and fonts, for light and for dark.

/// The style of a picture. Classes begin with `o` so that they are nobody else's in a page.
pub(super) const STYLE: &str = "
.ol{--bg:#fff;--fg:#1b2027;--mute:#5b6572;--line:#d9dee5;--card:#f4f6f9;--free:#e8ecf1;\
--old:#6f7c8d;--new:#1f6feb;--on:#fff;--gone:#c2570c;--bad:#b3261e;\
--h0:#e6eef8;--h1:#bcd5f1;--h2:#86b5e6;--h3:#4589d3;--h4:#1c569e;--h5:#b3261e;\
font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif}
@media(prefers-color-scheme:dark){.ol{--bg:#14171c;--fg:#e6e9ee;--mute:#9ba6b4;--line:#343c47;\
--card:#1d2229;--free:#2a313b;--old:#8494a9;--new:#4c9aff;--on:#0b0f14;--gone:#f0883e;--bad:#ff7b72;\
--h0:#202a36;--h1:#28435f;--h2:#2f6296;--h3:#4a90d9;--h4:#9ccbff;--h5:#ff7b72}}
.ol text{fill:var(--fg);font-size:13px}
.ol .ot{font-size:25px;font-weight:650}
.ol .os{font-size:16px;font-weight:650}
.ol .ob{font-weight:650}
.ol .ov{font-size:19px;font-weight:650}
.ol .om{fill:var(--mute);font-size:12px}
.ol .ox{fill:var(--mute);font-size:11px}
.ol .or{text-anchor:end}
.ol .oc{text-anchor:middle}
.ol .oe{fill:var(--bad)}
.ol .ok{fill:var(--on)}
.ol .oh{paint-order:stroke;stroke:var(--bg);stroke-width:3px;stroke-linejoin:round}
.obg{fill:var(--bg)}.ocard{fill:var(--card)}.oline{stroke:var(--line);stroke-width:1}.ogrid{stroke:var(--line);stroke-width:1;stroke-dasharray:1 4}
.ofree{fill:var(--free)}.oold{fill:var(--old)}.onew{fill:var(--new)}.obad{fill:var(--bad)}
.ores{fill:url(#ohatch)}.ohl{stroke:var(--old);stroke-width:2.2}
.ogone{fill:none;stroke:var(--gone);stroke-width:1.5;stroke-dasharray:4 3}
.oedge{fill:none;stroke:var(--old);stroke-width:1}
.h0{fill:var(--h0)}.h1{fill:var(--h1)}.h2{fill:var(--h2)}.h3{fill:var(--h3)}.h4{fill:var(--h4)}\
.h5{fill:var(--h5)}
";

/// The style of the page around it.
pub(super) const PAGE: &str = "
:root{color-scheme:light dark}
body{margin:0;background:#fff;color:#1b2027;\
font:14px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif}
main{max-width:1200px;margin:0 auto}
svg{display:block;width:100%;height:auto}
details{margin:0 28px 28px}
summary{cursor:pointer;font-weight:650;padding:8px 0}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:4px 12px 4px 0;border-bottom:1px solid #d9dee5;vertical-align:top}
td{overflow-wrap:anywhere}
td:nth-child(3),th:nth-child(3){text-align:right}
th{color:#5b6572;font-weight:500}
@media(prefers-color-scheme:dark){body{background:#14171c;color:#e6e9ee}\
th,td{border-color:#343c47}th{color:#9ba6b4}}
";
