# The reference for slides nested in patients: lme4, lmerTest and pbkrtest.
#
#   Rscript tests/statistics/golden/nested.R tests/statistics/golden
#
# Debian: r-cran-lme4 r-cran-lmertest r-cran-pbkrtest. Writes nested_data.csv and nested.csv, which are committed; no
# test runs R.
suppressPackageStartupMessages({library(lme4); library(lmerTest); library(pbkrtest)})
folder <- commandArgs(trailingOnly = TRUE)[1]
tight <- lmerControl(optimizer = "bobyqa", check.conv.singular = "ignore",
                     optCtrl = list(rhobeg = 0.02, rhoend = 1e-10, maxfun = 1e6))

sample_case <- function(name, patients, slides, sizes, sds, seed) {
  set.seed(seed)
  slide <- rep(seq_along(slides), sizes)
  x <- rnorm(length(slide))
  y <- 0.3 + 0.4 * x + rnorm(patients, 0, sds[1])[slides[slide]] + rnorm(length(slides), 0, sds[2])[slide] +
    rnorm(length(slide))
  data.frame(case = name, patient = sprintf("p%02d", slides[slide]), slide = sprintf("s%02d", slide),
             x = round(x, 6), y = round(y, 6))
}
data <- rbind(
  sample_case("balanced", 6, rep(1:6, each = 3), rep(8, 18), c(0.7, 0.6), 2),
  sample_case("unbalanced", 7, c(1, 1, 2, 3, 3, 3, 4, 5, 5, 6, 6, 6, 6, 7), 3 + (1:14 * 5) %% 17, c(0.9, 0.5), 4),
  sample_case("no patients", 6, rep(1:6, c(2, 3, 2, 4, 2, 3)), 4 + (1:16 * 3) %% 7, c(0, 0.6), 8)
)
rows <- list()
for (name in unique(data$case)) for (formula in c("1", "x")) for (reml in c(TRUE, FALSE)) {
  part <- data[data$case == name, ]
  fit <- lmer(as.formula(paste("y ~", formula, "+ (1 | patient / slide)")), part, REML = reml, control = tight)
  for (again in 1:3) fit <- update(fit, start = getME(fit, "theta"), data = part)
  for (term in names(fixef(fit))) {
    weights <- as.numeric(names(fixef(fit)) == term)
    plain <- contest1D(fit, weights)
    kr <- if (reml) contest1D(fit, weights, ddf = "Kenward-Roger") else NULL
    rows[[length(rows) + 1]] <- data.frame(
      case = name, formula = formula, method = ifelse(reml, "reml", "ml"), term = term,
      patients = as.numeric(VarCorr(fit)$patient), slides = as.numeric(VarCorr(fit)[["slide:patient"]]),
      within = sigma(fit)^2, deviance = as.numeric(-2 * logLik(fit)),
      estimate = plain[["Estimate"]], se = plain[["Std. Error"]], df = plain[["df"]], p = plain[["Pr(>|t|)"]],
      kr_se = if (reml) kr[["Std. Error"]] else NA, kr_df = if (reml) kr[["df"]] else NA,
      kr_p = if (reml) kr[["Pr(>|t|)"]] else NA)
  }
}
result <- do.call(rbind, rows)
write.csv(data, file.path(folder, "nested_data.csv"), row.names = FALSE, quote = FALSE)
result[] <- lapply(result, function(column) if (is.numeric(column)) sprintf("%.15g", column) else column)
write.csv(result, file.path(folder, "nested.csv"), row.names = FALSE, quote = FALSE)
